# ONWARD_PKG(VARIABLE-PREFIX, PKG-CONFIG-NAMES, FALLBACK-LIBS, HEADER, FUNCTION)
# Finds a library by the first pkg-config module of the list that is there, else by FALLBACK-LIBS,
# and proves it by compiling with HEADER and linking FUNCTION. Sets PREFIX_CFLAGS, PREFIX_LIBS (both
# may be given by the user) and the shell variable onward_have_PREFIX to yes or no.
AC_DEFUN([ONWARD_PKG], [
AC_REQUIRE([PKG_PROG_PKG_CONFIG])
AC_ARG_VAR([$1_CFLAGS], [compiler flags for $2, instead of those of pkg-config])
AC_ARG_VAR([$1_LIBS], [linker flags for $2, instead of those of pkg-config])
AC_MSG_CHECKING([for $5 in $2])
if test -z "$$1_CFLAGS$$1_LIBS"; then
  for onward_module in $2; do
    if test -n "$PKG_CONFIG" && $PKG_CONFIG --exists "$onward_module"; then
      $1_CFLAGS=`$PKG_CONFIG --cflags "$onward_module"`
      $1_LIBS=`$PKG_CONFIG --libs "$onward_module"`
      break
    fi
  done
  if test -z "$$1_LIBS"; then $1_LIBS="$3"; fi
fi
onward_saved_CPPFLAGS=$CPPFLAGS
onward_saved_LIBS=$LIBS
CPPFLAGS="$CPPFLAGS $$1_CFLAGS"
LIBS="$$1_LIBS $LIBS"
AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <$4>
int (*onward_proof(void))(void) { return (int (*)(void))(void (*)(void))$5; }]],
  [[return onward_proof() == 0;]])],
  [onward_have_$1=yes], [onward_have_$1=no])
CPPFLAGS=$onward_saved_CPPFLAGS
LIBS=$onward_saved_LIBS
AC_MSG_RESULT([$onward_have_$1])
])

# ONWARD_PKG_NEEDED(same arguments, DEBIAN-PACKAGE): as ONWARD_PKG; ends configure where it is absent.
AC_DEFUN([ONWARD_PKG_NEEDED], [
ONWARD_PKG([$1], [$2], [$3], [$4], [$5])
if test "$onward_have_$1" = no; then
  AC_MSG_ERROR([$2 is needed (Debian: $6); scripts/setup installs everything])
fi
])
