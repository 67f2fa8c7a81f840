# ONWARD_BLAS: OpenBLAS computes the built-in trainer. BLAS_CFLAGS, BLAS_LIBS, condition HAVE_BLAS.
# --without-blas, or no OpenBLAS: onward-train is not built. openblas_set_num_threads is proved too,
# because a trainer has one thread a worker unless it is asked for more.
AC_DEFUN([ONWARD_BLAS], [
AC_ARG_WITH([blas],
  [AS_HELP_STRING([--without-blas], [do not build onward-train, which needs OpenBLAS])],
  [], [with_blas=check])
onward_have_BLAS=no
if test "$with_blas" != no; then
  ONWARD_PKG([BLAS], [openblas], [-lopenblas], [cblas.h], [cblas_sgemm])
  if test "$onward_have_BLAS" = yes; then
    ONWARD_PKG([BLAS], [openblas], [-lopenblas], [cblas.h], [openblas_set_num_threads])
  fi
  if test "$with_blas" = yes && test "$onward_have_BLAS" = no; then
    AC_MSG_ERROR([OpenBLAS was asked for and is not here (Debian: libopenblas-dev)])
  fi
fi
AM_CONDITIONAL([HAVE_BLAS], [test "$onward_have_BLAS" = yes])
])
