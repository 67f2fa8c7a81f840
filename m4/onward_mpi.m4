# ONWARD_MPI: takes the compile and link flags from the MPI compiler wrapper, so that CC stays the
# plain compiler and only the objects that need MPI see its flags. MPI_CFLAGS, MPI_LIBS (both may be
# given), MPICC and MPIRUN.
AC_DEFUN([ONWARD_MPI], [
AC_REQUIRE([PKG_PROG_PKG_CONFIG])
AC_ARG_VAR([MPICC], [MPI compiler wrapper to ask for flags])
AC_ARG_VAR([MPIRUN], [the mpirun of the same MPI])
AC_ARG_VAR([MPI_CFLAGS], [compiler flags for MPI, instead of those of MPICC])
AC_ARG_VAR([MPI_LIBS], [linker flags for MPI, instead of those of MPICC])
onward_mpi_path=$PATH:/usr/lib64/openmpi/bin:/usr/lib/openmpi/bin
AC_PATH_PROGS([MPICC], [mpicc.openmpi mpicc], [no], [$onward_mpi_path])
AC_PATH_PROGS([MPIRUN], [mpirun.openmpi mpirun], [mpirun], [$onward_mpi_path])
if test -z "$MPI_CFLAGS$MPI_LIBS"; then
  if test "$MPICC" != no && $MPICC --showme:compile >/dev/null 2>&1; then
    MPI_CFLAGS=`$MPICC --showme:compile`
    MPI_LIBS=`$MPICC --showme:link`
  elif test -n "$PKG_CONFIG" && $PKG_CONFIG --exists ompi-c; then
    MPI_CFLAGS=`$PKG_CONFIG --cflags ompi-c`
    MPI_LIBS=`$PKG_CONFIG --libs ompi-c`
  else
    AC_MSG_ERROR([Open MPI is needed (Debian: libopenmpi-dev); scripts/setup installs everything])
  fi
fi
AC_MSG_CHECKING([for MPI_Init_thread])
onward_saved_CPPFLAGS=$CPPFLAGS
onward_saved_LIBS=$LIBS
CPPFLAGS="$CPPFLAGS $MPI_CFLAGS"
LIBS="$MPI_LIBS $LIBS"
AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <mpi.h>]],
    [[int level; return MPI_Init_thread(0, 0, MPI_THREAD_FUNNELED, &level);]])],
  [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([a program cannot be linked with the MPI flags '$MPI_CFLAGS' '$MPI_LIBS'])])
CPPFLAGS=$onward_saved_CPPFLAGS
LIBS=$onward_saved_LIBS
])
