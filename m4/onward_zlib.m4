# ONWARD_ZLIB: zlib reads gzip-compressed IDX files. ZLIB_CFLAGS, ZLIB_LIBS.
AC_DEFUN([ONWARD_ZLIB], [
ONWARD_PKG_NEEDED([ZLIB], [zlib], [-lz], [zlib.h], [gzread], [zlib1g-dev])
])
