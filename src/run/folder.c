/* folder.c - the folder of a run: one run at a time, and an old one is set aside whole. */
#include "run/folder.h"
#include "base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What belongs to a run. */
static const char *const names[] = {"model.safetensors", "log.csv", "loss.svg",
                                    "result.csv", "state.safetensors"};
enum { NAMES = sizeof names / sizeof names[0] };

typedef struct {
    char text[1200];
} Path;

static bool has_room(const char *folder)
{
    return strlen(folder) + 32 < sizeof(Path);
}

static Path path_of(const char *folder, const char *name)
{
    Path path;
    if (!has_room(folder))
        misuse("the name of the folder is too long: %.80s...", folder);
    snprintf(path.text, sizeof path.text, "%s/%s", folder, name);
    return path;
}

/* ---- Setting aside ---- */

/* Renames, or fails with errno; that there is nothing to rename is no failure. */
static bool move(const char *from_folder, const char *to_folder, const char *name)
{
    Path from = path_of(from_folder, name), to = path_of(to_folder, name);
    return rename(from.text, to.text) == 0 || errno == ENOENT;
}

static bool move_all(const char *from, const char *to)
{
    for (int i = 0; i < NAMES; i++)
        if (!move(from, to, names[i]))
            return false;
    return move(from, to, "previous");
}

/* Removes a run, and older ones in it. What else is in the folder stays, and the folder
 * then, too. */
static void remove_run(const char *folder)
{
    for (int i = 0; i < NAMES; i++)
        unlink(path_of(folder, names[i]).text);
    Path older = path_of(folder, "previous");
    if (file_exists(older.text) && has_room(older.text))
        remove_run(older.text);
    rmdir(folder);
}

/* A run on its way to previous/ is in previous.new/, of which there is none at other times.
 * Putting it back takes several steps, too; whoever is killed between them has left the
 * folder for the next one to empty. */
static bool put_back(const char *folder, Error *error)
{
    Path making = path_of(folder, "previous.new");
    if (!file_exists(making.text))
        return true;
    if (move_all(making.text, folder) && rmdir(making.text) == 0)
        return true;
    return fail(error, "cannot put back what is in %s: %s", making.text, strerror(errno));
}

/* The older run goes into the folder of the newer one, so that a single rename, the last,
 * puts one in the place of the other. */
bool folder_set_aside(const char *folder, Error *error)
{
    Path making = path_of(folder, "previous.new"), previous = path_of(folder, "previous");
    if (!file_exists(path_of(folder, "state.safetensors").text))
        return true;
    if (mkdir(making.text, 0777) != 0)
        return fail(error, "cannot make the folder %s: %s", making.text, strerror(errno));
    if (!move_all(folder, making.text) || rename(making.text, previous.text) != 0) {
        Error ignored;
        fail(error, "cannot set the run in %s aside: %s", folder, strerror(errno));
        put_back(folder, &ignored); /* or the next one to lock the folder will */
        return false;
    }
    Path older = path_of(previous.text, "previous");
    if (file_exists(older.text))
        remove_run(older.text);
    return true;
}

/* ---- The lock ---- */

/* A file system that knows no locks is no reason not to train. */
static bool is_taken(int lock)
{
    return flock(lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

int folder_lock(const char *folder, Error *error)
{
    if (!folder_make(folder, error))
        return -1;
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0) {
        fail(error, "cannot use the folder %s: %s", folder, strerror(errno));
        return -1;
    }
    if (is_taken(lock)) {
        fail(error, "another run is using %s; choose another --out", folder);
        close(lock);
        return -1;
    }
    for (int i = 0; i < NAMES; i++)
        newfile_sweep(path_of(folder, names[i]).text);
    if (!put_back(folder, error)) {
        close(lock);
        return -1;
    }
    return lock;
}

void folder_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}
