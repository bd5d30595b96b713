/* The table of system calls that the server may make: see confine_table.c. */
#ifndef PX_SERVER_CONFINE_TABLE_H
#define PX_SERVER_CONFINE_TABLE_H

#include "sandbox/seccomp_table.h"

extern const struct seccomp_rule confine_rules[];
extern const size_t confine_rule_count;

#endif
