/* What a child of the manager finds when it starts: nothing but these descriptors and its options.
 *
 * The manager starts the server and the zygote with an environment of its own making, standard input
 * and output on /dev/null, standard error for the log, and:
 */
#ifndef PX_WIRE_INHERIT_H
#define PX_WIRE_INHERIT_H

enum inherited_fd {
    INHERIT_CONTROL = 3, /* messages to and from the manager */
    INHERIT_LISTEN = 4,  /* server: the listening socket; not open for `run`, whose server has a console instead */
    INHERIT_CHANNEL = 4, /* zygote: messages to and from the server */
    INHERIT_END = 5,
};

#endif
