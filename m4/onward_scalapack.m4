# ONWARD_SCALAPACK: ScaLAPACK and BLACS solve what the trainer ridge sums up. Proves that they link
# with this MPI. SCALAPACK_LIBS (may be given), condition and macro HAVE_SCALAPACK. Debian's
# scalapack-openmpi.pc carries a relative -L, so plain library names are tried first, and pkg-config
# is not asked. Without it, or --without-scalapack, or without OpenBLAS, there is no ridge.
AC_DEFUN([ONWARD_SCALAPACK], [
AC_ARG_WITH([scalapack],
  [AS_HELP_STRING([--without-scalapack], [build onward-train without the trainer ridge, which needs ScaLAPACK])],
  [], [with_scalapack=check])
AC_ARG_VAR([SCALAPACK_LIBS], [linker flags for ScaLAPACK])
onward_have_scalapack=no
if test "$with_scalapack" != no; then
  AC_MSG_CHECKING([for pdgetrf_ and Csys2blacs_handle])
  onward_saved_LIBS=$LIBS
  onward_saved_CPPFLAGS=$CPPFLAGS
  CPPFLAGS="$CPPFLAGS $MPI_CFLAGS"
  for onward_candidate in "$SCALAPACK_LIBS" -lscalapack-openmpi -lscalapack \
      "-L/usr/lib64/openmpi/lib -lscalapack"; do
    test -n "$onward_candidate" || continue
    LIBS="$onward_candidate $BLAS_LIBS $MPI_LIBS $onward_saved_LIBS"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <mpi.h>
int Csys2blacs_handle(MPI_Comm comm);
void pdgetrf_(const int *m, const int *n, double *a, const int *ia, const int *ja,
              const int *descriptor, int *pivots, int *info);]],
      [[int one = 1, descriptor[9] = {0}, pivot, info; double a = 1;
pdgetrf_(&one, &one, &a, &one, &one, descriptor, &pivot, &info);
return Csys2blacs_handle(MPI_COMM_WORLD);]])],
      [onward_have_scalapack="yes ($onward_candidate)"; SCALAPACK_LIBS=$onward_candidate; break])
  done
  LIBS=$onward_saved_LIBS
  CPPFLAGS=$onward_saved_CPPFLAGS
  AC_MSG_RESULT([$onward_have_scalapack])
  if test "$with_scalapack" = yes && test "$onward_have_scalapack" = no; then
    AC_MSG_ERROR([ScaLAPACK was asked for and is not here (Debian: libscalapack-openmpi-dev)])
  fi
fi
test "$onward_have_BLAS" = yes || onward_have_scalapack=no
AM_CONDITIONAL([HAVE_SCALAPACK], [test "$onward_have_scalapack" != no])
if test "$onward_have_scalapack" != no; then
  AC_DEFINE([HAVE_SCALAPACK], [1], [Define to 1 if the trainer ridge is built.])
fi
])
