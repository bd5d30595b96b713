/* Files that are built into a program: a row each, made by tools/embed.py. */
#ifndef PX_BASE_EMBEDDED_H
#define PX_BASE_EMBEDDED_H

struct embedded {
    const char *name; /* of the file, without its folder and ending */
    const char *text; /* in UTF-8 */
};

#endif
