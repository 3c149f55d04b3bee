/* test_rooms.c - what may include what: arrows between the rooms of src/ point one way. */
#include "base/error.h"
#include "suite.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

/* A room may include itself and the rooms below it: those whose level is lower. */
static const struct {
    const char *name;
    int level;
} rooms[] = {{"base", 0}, {"scalar", 1}, {"tensor", 1},  {"plot", 1},
             {"nn", 2},   {"text", 2},   {"weights", 3}, {"run", 4}};
enum { ROOMS = sizeof rooms / sizeof rooms[0], CHAPTER = 5 };

static int level_of(const char *name, size_t length)
{
    for (int i = 0; i < ROOMS; i++)
        if (strlen(rooms[i].name) == length && strncmp(rooms[i].name, name, length) == 0)
            return rooms[i].level;
    return -1;
}

/* Whether a file in `folder`, "src/nn" or "chapters/04-gpt", may have this line. */
static bool may_include(const char *folder, const char *line)
{
    char included[256];
    if (sscanf(line, " # include \"%255[^\"]\"", included) != 1)
        return true;
    size_t length = strcspn(included, "/");
    bool chapter = strncmp(folder, "chapters", 8) == 0;
    if (!included[length]) /* a neighbour: only chapters name them without a folder */
        return chapter;
    const char *slash = strchr(folder, '/'), *own = slash ? slash + 1 : folder;
    int from = chapter ? CHAPTER : level_of(own, strlen(own)),
        to = level_of(included, length);
    bool same = strlen(own) == length && strncmp(own, included, length) == 0;
    return to >= 0 && (to < from || (same && !chapter));
}

START_TEST(an_arrow_that_points_the_wrong_way_is_seen)
{
    ck_assert(may_include("src/nn", "#include <math.h>\n"));
    ck_assert(may_include("src/nn", "#include \"nn/nn.h\"\n"));
    ck_assert(may_include("src/nn", "#include \"tensor/ops.h\"\n"));
    ck_assert(may_include("chapters/04-gpt", "#include \"gpt.h\"\n"));
    ck_assert(may_include("chapters/04-gpt", "#include \"run/model.h\"\n"));
    ck_assert(!may_include("src/nn", "#include \"run/model.h\"\n"));
    ck_assert(!may_include("src/nn", "#include \"text/text.h\"\n"));
    ck_assert(!may_include("src/tensor", "#include \"plot/plot.h\"\n"));
    ck_assert(!may_include("src/tensor", "#include \"ops.h\"\n"));
    ck_assert(!may_include("src/tensor", "#include \"nowhere/ops.h\"\n"));
    ck_assert(!may_include("chapters/04-gpt", "#include \"../01-rnn/rnn.h\"\n"));
    ck_assert(!may_include("chapters/04-gpt", "#include \"04-gpt/gpt.h\"\n"));
}
END_TEST

/* In a chapter, a name without a folder is a file of that chapter. */
static void check_file(const char *path)
{
    char folder[256], line[512], name[256], beside[600];
    snprintf(folder, sizeof folder, "%.*s", (int)(strrchr(path, '/') - path), path);
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s", path);
    for (int number = 1; fgets(line, sizeof line, file); number++) {
        ck_assert_msg(may_include(folder, line), "%s:%d: %s", path, number, line);
        if (sscanf(line, " # include \"%255[^\"]\"", name) != 1 || strchr(name, '/'))
            continue;
        snprintf(beside, sizeof beside, "%s/%s", folder, name);
        FILE *there = fopen(beside, "r");
        ck_assert_msg(there != NULL, "%s:%d: there is no %s", path, number, beside);
        fclose(there);
    }
    fclose(file);
}

START_TEST(arrows_between_rooms_point_one_way)
{
    glob_t paths = {0};
    ck_assert_int_eq(glob("src/*/*.[ch]", 0, NULL, &paths), 0);
    ck_assert_int_eq(glob("chapters/*/*.[ch]", GLOB_APPEND, NULL, &paths), 0);
    ck_assert_int_eq(glob("chapters/*.[ch]", GLOB_APPEND, NULL, &paths), 0);
    ck_assert_uint_gt(paths.gl_pathc, 50);
    for (size_t i = 0; i < paths.gl_pathc; i++)
        check_file(paths.gl_pathv[i]);
    globfree(&paths);
}
END_TEST

START_TEST(every_file_of_the_library_is_in_a_room)
{
    glob_t found = {0};
    ck_assert_int_eq(glob("src/*.[ch]", 0, NULL, &found), GLOB_NOMATCH);
    ck_assert_int_eq(glob("src/*", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *name = found.gl_pathv[i] + strlen("src/");
        ck_assert_msg(level_of(name, strlen(name)) >= 0, "src/%s is no room", name);
    }
    globfree(&found);
}
END_TEST

SUITE("rooms", 10, an_arrow_that_points_the_wrong_way_is_seen,
      arrows_between_rooms_point_one_way, every_file_of_the_library_is_in_a_room)
