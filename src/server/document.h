/* openapi/: what describes the service to its clients, built into the server by tools/embed.py. */
#ifndef PX_SERVER_DOCUMENT_H
#define PX_SERVER_DOCUMENT_H

#include "base/embedded.h"

enum { DOCUMENT_OPENAPI, DOCUMENT_TOOL };

/* Ended by a row of NULL. */
extern const struct embedded embedded_documents[];

#endif
