# ONWARD_WARNINGS: warnings are always on; --enable-werror makes them errors. WARNING_CFLAGS.
AC_DEFUN([ONWARD_WARNINGS], [
AC_ARG_ENABLE([werror],
  [AS_HELP_STRING([--enable-werror], [treat every compiler warning as an error])],
  [], [enable_werror=no])
WARNING_CFLAGS="-Wall -Wextra"
if test "$enable_werror" = yes; then WARNING_CFLAGS="$WARNING_CFLAGS -Werror"; fi
AC_SUBST([WARNING_CFLAGS])
])
