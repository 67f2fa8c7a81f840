# ONWARD_CHECK: the unit tests are written with Check. CHECK_CFLAGS, CHECK_LIBS, condition HAVE_CHECK.
# --without-check, or no Check: no unit tests.
AC_DEFUN([ONWARD_CHECK], [
AC_ARG_WITH([check],
  [AS_HELP_STRING([--without-check], [do not build the unit tests, which need Check])],
  [], [with_check=check])
onward_have_CHECK=no
if test "$with_check" != no; then
  ONWARD_PKG([CHECK], [check], [-lcheck], [check.h], [srunner_create])
  if test "$with_check" = yes && test "$onward_have_CHECK" = no; then
    AC_MSG_ERROR([Check was asked for and is not here (Debian: package check)])
  fi
fi
AM_CONDITIONAL([HAVE_CHECK], [test "$onward_have_CHECK" = yes])
])
