# ONWARD_XXHASH: xxHash makes the checksums of shards and arrays. XXHASH_CFLAGS, XXHASH_LIBS. Where
# the library chooses by the processor at run time (x86), that is used: twice the rate.
AC_DEFUN([ONWARD_XXHASH], [
ONWARD_PKG_NEEDED([XXHASH], [libxxhash], [-lxxhash], [xxhash.h], [XXH3_128bits], [libxxhash-dev])
onward_saved_LIBS=$LIBS
onward_saved_CPPFLAGS=$CPPFLAGS
LIBS="$XXHASH_LIBS $LIBS"
CPPFLAGS="$CPPFLAGS $XXHASH_CFLAGS"
AC_CHECK_HEADERS([xxh_x86dispatch.h])
AC_CHECK_FUNCS([XXH3_128bits_update_dispatch])
LIBS=$onward_saved_LIBS
CPPFLAGS=$onward_saved_CPPFLAGS
])
