/* Folders of our own on a file system that others use too: made under a name nobody else has, locked while their
 * owner lives, swept when it is gone.
 *
 * What is in them was made by scripts. No link is ever followed, and nothing is touched while its maker lives.
 */
#ifndef PX_SANDBOX_FOLDER_H
#define PX_SANDBOX_FOLDER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Makes `python-executor-PID` below base, or with another number where somebody else has that, and locks it. Returns
 * a descriptor that holds the lock, and the path, or a negative errno. A worker must not keep the descriptor. */
int folder_make(const char *base, mode_t mode, char *ret_path, size_t size);

/* Removes what is in the folder, however deep. 0, or the first negative errno; it goes on as far as it can. */
int folder_empty(int fd);

/* Removes a folder below `parent` with all that is in it. */
int folder_remove(int parent, const char *name);

/* Bytes that are taken and the number of files, counted until `files_max`; files_max + 1 where a folder is closed to
 * the caller. Takes no locks; a file that goes away meanwhile is not counted. */
int folder_measure(int parent, const char *name, uint64_t files_max, uint64_t *ret_bytes, uint64_t *ret_files);

/* Removes the folders below base whose owners have died. Only those of the caller's user id are looked at. */
void folder_sweep(const char *base);

#endif
