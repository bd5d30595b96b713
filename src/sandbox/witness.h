/* The witness: a worker behind all its layers, before any job, that looks whether they hold. */
#ifndef PX_SANDBOX_WITNESS_H
#define PX_SANDBOX_WITNESS_H

#include "base/failure.h"
#include "base/layer.h"

/* In a throwaway worker of the probe. A negative errno, and the layer as the stage, where one that is said to be
 * active lets something through, or where the worker lacks what a script needs. */
int witness_layers(const struct isolation *isolation, struct failure *ret_failure);

#endif
