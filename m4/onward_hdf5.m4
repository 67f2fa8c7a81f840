# ONWARD_HDF5: the serial HDF5 (never the parallel one: a death inside a collective write cannot be
# survived). HDF5_CFLAGS, HDF5_LIBS. HDF5 1.14 is the first with
# H5FDdevelop.h, for a file driver of our own.
AC_DEFUN([ONWARD_HDF5], [
ONWARD_PKG_NEEDED([HDF5], [hdf5-serial hdf5], [-lhdf5], [hdf5.h], [H5Pset_virtual], [libhdf5-dev])
AC_MSG_CHECKING([that this HDF5 is a serial one])
onward_saved_CPPFLAGS=$CPPFLAGS
CPPFLAGS="$CPPFLAGS $HDF5_CFLAGS"
AC_PREPROC_IFELSE([AC_LANG_SOURCE([[
#include <H5pubconf.h>
#ifdef H5_HAVE_PARALLEL
#error parallel
#endif]])],
  [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([a serial HDF5 is needed (Debian: libhdf5-dev); set HDF5_CFLAGS and HDF5_LIBS to it])])
AC_MSG_CHECKING([that this HDF5 is 1.14 or later])
AC_PREPROC_IFELSE([AC_LANG_SOURCE([[
#include <H5public.h>
#if H5_VERS_MAJOR < 2 && H5_VERS_MINOR < 14
#error old
#endif]])],
  [AC_MSG_RESULT([yes])],
  [AC_MSG_RESULT([no])
   AC_MSG_ERROR([HDF5 1.14 or later is needed (Debian 13: libhdf5-dev)])])
CPPFLAGS=$onward_saved_CPPFLAGS
])
