# ONWARD_ULFM: finds each call of user-level failure mitigation by compiling and linking it, under
# its standard name (MPI_Comm_revoke) and under the older one (MPIX_Comm_revoke), and defines
# HAVE_MPI_COMM_REVOKE or HAVE_MPIX_COMM_REVOKE and so on. Call it after ONWARD_MPI. Without these
# calls everything builds all the same, and a lost process then ends the run until it is relaunched.
# Sets onward_have_ulfm to yes where the five that recovery needs are there under one name.

# ONWARD_ULFM_CALL(NAME, STATEMENT): tries STATEMENT with each prefix; CALL in it is the full name.
AC_DEFUN([ONWARD_ULFM_CALL], [
m4_foreach([onward_prefix], [[MPI], [MPIX]], [
AC_CACHE_CHECK([for ]onward_prefix[_$1], [onward_cv_]onward_prefix[_$1],
  [AC_LINK_IFELSE([AC_LANG_PROGRAM([[
#include <mpi.h>
#if defined(__has_include)
#if __has_include(<mpi-ext.h>)
#include <mpi-ext.h>
#endif
#endif
#define CALL ]]onward_prefix[[_$1
]], [[MPI_Comm comm = MPI_COMM_WORLD, other; MPI_Group group; int flag = 0;
(void)comm; (void)other; (void)group; (void)flag;
$2;]])],
  [onward_cv_]onward_prefix[_$1=yes], [onward_cv_]onward_prefix[_$1=no])])
if test "$onward_cv_[]onward_prefix[]_$1" = yes; then
  AC_DEFINE([HAVE_]onward_prefix[_]m4_toupper([$1]), [1], [Define to 1 if ]onward_prefix[_$1 links.])
fi
])
])

AC_DEFUN([ONWARD_ULFM], [
onward_ulfm_CPPFLAGS=$CPPFLAGS
onward_ulfm_CFLAGS=$CFLAGS
onward_ulfm_LIBS=$LIBS
CPPFLAGS="$CPPFLAGS $MPI_CFLAGS"
CFLAGS="$CFLAGS -Werror=implicit-function-declaration"
LIBS="$MPI_LIBS $LIBS"
ONWARD_ULFM_CALL([Comm_revoke], [CALL(comm)])
ONWARD_ULFM_CALL([Comm_is_revoked], [CALL(comm, &flag)])
ONWARD_ULFM_CALL([Comm_shrink], [CALL(comm, &other)])
ONWARD_ULFM_CALL([Comm_agree], [CALL(comm, &flag)])
ONWARD_ULFM_CALL([Comm_get_failed], [CALL(comm, &group)])
ONWARD_ULFM_CALL([Comm_ack_failed], [CALL(comm, 0, &flag)])
ONWARD_ULFM_CALL([Comm_failure_ack], [CALL(comm)])
ONWARD_ULFM_CALL([Comm_failure_get_acked], [CALL(comm, &group)])
CPPFLAGS=$onward_ulfm_CPPFLAGS
CFLAGS=$onward_ulfm_CFLAGS
LIBS=$onward_ulfm_LIBS
onward_have_ulfm=no
m4_foreach([onward_prefix], [[MPI], [MPIX]], [
if test "$onward_cv_[]onward_prefix[]_Comm_revoke$onward_cv_[]onward_prefix[]_Comm_is_revoked$onward_cv_[]onward_prefix[]_Comm_shrink$onward_cv_[]onward_prefix[]_Comm_agree" = yesyesyesyes; then
  if test "$onward_cv_[]onward_prefix[]_Comm_get_failed" = yes || test "$onward_cv_[]onward_prefix[]_Comm_failure_get_acked" = yes; then
    onward_have_ulfm="yes (onward_prefix[]_ names)"
  fi
fi
])
])
