/* openapi/openapi.json, which describes the service to its clients, built into the server by tools/embed.py. */
#ifndef PX_SERVER_DOCUMENT_H
#define PX_SERVER_DOCUMENT_H

#include "base/embedded.h"

/* That one file; ended by a row of NULL. */
extern const struct embedded embedded_documents[];

#endif
