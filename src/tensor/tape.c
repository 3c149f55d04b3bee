/* tape.c - the memory of a tape, and what it remembers: random draws, places, labels. */
#include "tensor/tape.h"
#include "tensor/op.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CHUNK = 1 << 16 /* bytes */ };

/* ---- Memory ---- */

Tape *tape_new(TapeUse use, uint64_t seed)
{
    Tape *tape = allocate(1, sizeof *tape);
    tape->use = use;
    tape->seed = seed;
    return tape;
}

void tape_free(Tape *tape)
{
    if (!tape)
        return;
    for (int i = 0; i < tape->chunks; i++)
        free(tape->chunk[i].memory);
    free(tape);
}

void tape_spoil(void *memory, size_t bytes)
{
#ifdef LINEAGE_DEBUG
    memset(memory, 0xff, bytes);
#else
    (void)memory, (void)bytes;
#endif
}

void tape_drop_to(Tape *tape, Mark mark)
{
    for (int i = mark.chunk; i < tape->chunks && i <= tape->current; i++) {
        size_t from = i == mark.chunk ? mark.used : 0;
        tape_spoil(tape->chunk[i].memory + from, tape->chunk[i].size - from);
    }
    tape->current = mark.chunk;
    tape->used = mark.used;
}

void tape_reset(Tape *tape, long step)
{
    tape_drop_to(tape, (Mark){0, 0});
    tape->step = step;
    tape->draws = 0;
    tape->last = NULL;
    tape->labels = NULL;
    tape->finished = false;
    tape->spare = NULL;
    tape->text = NULL;
}

/* Chunks double, so that few are needed; but rather a small one than more than there is. */
static void add_chunk(Tape *tape, size_t bytes)
{
    size_t held = 0, most = physical_memory();
    for (int i = 0; i < tape->chunks; i++)
        held += tape->chunk[i].size;
    size_t size = tape->chunks ? 2 * tape->chunk[tape->chunks - 1].size : FIRST_CHUNK;
    if (size < bytes || held + size > most)
        size = bytes;
    if (tape->chunks == MOST_CHUNKS || held + size > most)
        out_of_model_memory(bytes, "the tape");
    char *memory = aligned_alloc(T_ALIGNMENT, size);
    if (!memory)
        out_of_model_memory(bytes, "the tape");
    tape_spoil(memory, size);
    tape->chunk[tape->chunks++] = (Chunk){memory, size};
}

void *tape_alloc(Tape *tape, size_t bytes)
{
    if (bytes > SIZE_MAX / 8)
        out_of_model_memory(bytes, "the tape");
    bytes = (bytes + T_ALIGNMENT - 1) / T_ALIGNMENT * T_ALIGNMENT;
    if (tape->chunks == 0)
        add_chunk(tape, bytes);
    while (tape->used + bytes > tape->chunk[tape->current].size) {
        if (tape->current + 1 == tape->chunks)
            add_chunk(tape, bytes);
        tape->current++;
        tape->used = 0;
    }
    void *memory = tape->chunk[tape->current].memory + tape->used;
    tape->used += bytes;
    return memory;
}

bool tape_recording(const Tape *tape)
{
    return tape->use != TAPE_INFERENCE;
}

bool tape_training(const Tape *tape)
{
    return tape->use == TAPE_TRAINING;
}

uint64_t tape_seed(const Tape *tape)
{
    return tape->seed;
}

uint64_t tape_draw(Tape *tape)
{
    return (uint64_t)tape->step << 20 | (tape->draws++ & 0xfffff);
}

Mark tape_mark(const Tape *tape)
{
    return (Mark){tape->current, tape->used};
}

void tape_profile(Tape *tape, Profile *profile)
{
    tape->profile = profile;
}

/* ---- Mistakes ---- */

void tape_note(Tape *tape, const char *text, const char *file, int line)
{
    tape->text = text;
    tape->file = file;
    tape->line = line;
}

static _Noreturn void misuse_at(const Tape *tape, const char *name, const char *sentence)
{
    if (tape && tape->text)
        misuse("%s: %s, after %s:%d: %s", name, sentence, tape->file, tape->line,
               tape->text);
    misuse("%s: %s", name, sentence);
}

_Noreturn void op_misuse(const Tape *tape, const char *name, const char *format, ...)
{
    char sentence[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    misuse_at(tape, name, sentence);
}

/* ---- Labels ---- */

struct Label {
    Label *before; /* the one made before this one */
    const char *label;
    int number;
    Tensor *tensor;
};

Tensor *t_label(Tensor *x, const char *label, int number)
{
    Tape *tape = x->tape;
    if (!tape || !tape_recording(tape))
        return x;
    Label *new = tape_alloc(tape, sizeof *new);
    *new = (Label){tape->labels, label, number, x};
    tape->labels = new;
    return x;
}

Tensor *tape_labelled(const Tape *tape, const char *label, int number)
{
    for (const Label *l = tape->labels; l; l = l->before)
        if (l->number == number && strcmp(l->label, label) == 0)
            return l->tensor;
    return NULL;
}
