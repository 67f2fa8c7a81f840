# ONWARD_HDF5: the serial HDF5 (never the parallel one: a death inside a collective write cannot be
# survived). HDF5_CFLAGS, HDF5_LIBS. HDF5 1.10 is the first with virtual datasets.
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
CPPFLAGS=$onward_saved_CPPFLAGS
])
