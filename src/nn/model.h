/* model.h - what a language model is to the program around it.
 *
 * A chapter's own type begins with a Model, so that a pointer to one is a pointer to the
 * other:
 *
 *     typedef struct {
 *         Model model;
 *         GptConfig config;
 *         ...
 *     } Gpt;
 *
 * Whoever trains, measures, samples or probes knows the Model and nothing of what is in
 * it. */
#ifndef LINEAGE_MODEL_H
#define LINEAGE_MODEL_H

#include "nn/nn.h"

/* What a model remembers of the B texts that it has read: the keys and values of attention,
 * which grow with the text, or the state of a recurrence, which does not. */
typedef struct {
    Params *states;
} Memory;

Memory *memory_new(void);
void memory_free(Memory *memory); /* NULL: nothing */

/* State number `number`, counted as the model made them, from 0. */
Tensor *memory_state(const Memory *memory, int number);

/* Writes the newcomers after the `past` entries that a growing state holds along one of its
 * dimensions. Returns all that it then holds, in place. Not on a recording tape: gradients
 * would be cut. */
Tensor *remember(Tensor *state, int dimension, int past, Tensor *newcomers);

typedef struct Model Model;

struct Model {
    Params *params;
    int vocabulary; /* V */
    int context;    /* the most tokens that it can see. 0: there is no limit, because it is
                       recurrent; then training hands its state from batch to batch */

    /* Tokens (B, T) -> what the head makes logits of, (B, T, C). With a memory, the tokens
     * stand after `past` others, which it remembers already, and are remembered too. Without
     * one, `past` is 0. */
    Tensor *(*forward)(const Model *model, const Ids *tokens, Memory *memory, int past);

    /* (B, T, C) -> logits of the token after each position, (B, T, V). Apart from forward,
     * because whoever writes a text wants those of the last position only. */
    Tensor *(*head)(const Model *model, Tensor *x);

    /* A memory for B texts. */
    Memory *(*memory_new)(const Model *model, int B);

    /* Something that is added to the loss in training, of what forward left on the tape: a
     * single number. NULL: there is none. */
    Tensor *(*extra_loss)(const Model *model, Tape *tape);

    /* Called after each step of the optimizer, with the tape of that step. NULL: no need. */
    void (*stepped)(Model *model, Tape *tape);

    long active_parameters; /* that one token meets; 0: all of them */

    /* Frees the model and its parameters. */
    void (*free)(Model *model);
};

/* The logits of all positions: head after forward. */
Tensor *model_logits(const Model *model, const Ids *tokens, Memory *memory, int past);

#endif
