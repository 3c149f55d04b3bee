/* sanitized.h - whether a sanitizer has taken the place of malloc and its kin. */
#ifndef LINEAGE_SANITIZED_H
#define LINEAGE_SANITIZED_H

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif

#endif
