/* model.c - what a language model is to the program around it. */
#include "nn/model.h"

#include <stdlib.h>

Memory *memory_new(void)
{
    Memory *memory = allocate(1, sizeof *memory);
    memory->states = params_new(0);
    return memory;
}

void memory_free(Memory *memory)
{
    if (!memory)
        return;
    params_free(memory->states);
    free(memory);
}

Tensor *memory_state(const Memory *memory, int number)
{
    if (number < 0 || number >= memory->states->count)
        misuse("memory_state: there is no state %d among %d", number,
               memory->states->count);
    return memory->states->item[number].tensor;
}

Tensor *remember(Tensor *state, int dimension, int past, Tensor *newcomers)
{
    Tensor *all = t_on(newcomers->tape, state);
    int end = past + newcomers->shape[dimension];
    t_assign(t_slice(all, dimension, past, end), newcomers);
    return t_slice(all, dimension, 0, end);
}

Tensor *model_logits(const Model *model, const Ids *tokens, Memory *memory, int past)
{
    return model->head(model, model->forward(model, tokens, memory, past));
}
