/* hash.h - xxHash as store uses it: with the vector unit that the processor has, where the library
 * can choose at run time. The sums are the same either way. */
#ifndef STORE_HASH_H
#define STORE_HASH_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include <xxhash.h>

#if defined(HAVE_XXH_X86DISPATCH_H) && defined(HAVE_XXH3_128BITS_UPDATE_DISPATCH)
#include <xxh_x86dispatch.h>
#endif

#endif
