# ONWARD_XXHASH: xxHash makes the checksums of shards and arrays. XXHASH_CFLAGS, XXHASH_LIBS.
AC_DEFUN([ONWARD_XXHASH], [
ONWARD_PKG_NEEDED([XXHASH], [libxxhash], [-lxxhash], [xxhash.h], [XXH3_128bits], [libxxhash-dev])
])
