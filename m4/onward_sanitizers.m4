# ONWARD_SANITIZERS: --enable-sanitizers builds everything with AddressSanitizer and
# UndefinedBehaviorSanitizer, and a finding ends the program. SANITIZER_CFLAGS.
AC_DEFUN([ONWARD_SANITIZERS], [
AC_ARG_ENABLE([sanitizers],
  [AS_HELP_STRING([--enable-sanitizers], [build with address and undefined-behaviour sanitizers])],
  [], [enable_sanitizers=no])
SANITIZER_CFLAGS=
if test "$enable_sanitizers" = yes; then
  SANITIZER_CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
  # clang cannot vectorise what it instruments, and says so for each loop that asks for it.
  SANITIZER_CFLAGS="$SANITIZER_CFLAGS -Wno-pass-failed"
  AC_DEFINE([HAVE_SANITIZERS], [1], [Built with sanitizers: the scenarios of tests/mpi look for what they find.])
fi
AC_SUBST([SANITIZER_CFLAGS])
])
