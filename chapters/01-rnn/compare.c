/* compare.c - the cells of the chapter in scalars and in tensors, side by side. */
#include "compare.h"
#include "rnn.h"
#include "run/verify.h"
#include "spec.h"

enum { T = 3, E = 2, C = 3, V = 4 };
static const int text[T + 1] = {2, 0, 3, 1};

static Rnn *example_model(CellKind cell)
{
    RnnConfig config = {
        .vocabulary = V, .cell = (int)cell, .layers = 1, .embedding = E, .width = C};
    Rnn *rnn = rnn_new(config, params_new(1));
    verify_fill_all(rnn->model.params);
    return rnn;
}

/* The mean loss over the text, one number at a time; `w` are the parameters of the model in
 * their order. */
static Scalar *loss_in_scalars(Scalars *s, CellKind cell, Scalar ***w, Scalar **logits)
{
    SpecLayer layer = {E, C, w[1], w[2], w[3], w[4]};
    Scalar **h = s_array(s, C), **c = s_array(s, C), *loss = s_new(s, 0);
    for (int j = 0; j < C; j++)
        h[j] = c[j] = s_new(s, 0);
    for (int t = 0; t < T; t++) {
        Scalar **x = &w[0][text[t] * E];
        if (cell == CELL_RNN)
            spec_rnn(&layer, x, h);
        else if (cell == CELL_GRU)
            spec_gru(&layer, x, h);
        else
            spec_lstm(&layer, x, h, c);
        spec_decoder(V, C, w[5], w[6], h, &logits[t * V]);
        loss = s_add(loss, spec_cross_entropy(V, &logits[t * V], text[t + 1]));
    }
    return s_times(loss, 1.0 / T);
}

static bool compare_cell(CellKind cell, float fault)
{
    enum { PARAMS = 7 };
    Rnn *rnn = example_model(cell);
    const Param *param = rnn->model.params->item;
    Scalars *s = scalars_new();
    Scalar **w[PARAMS], **slogits = s_array(s, T * V);
    for (int i = 0; i < PARAMS; i++)
        w[i] = verify_scalars(s, param[i].tensor);
    Scalar *sloss = loss_in_scalars(s, cell, w, slogits);
    s_backward(sloss);

    rnn->rnn.layer[0].weight_hh->data[0] += fault;
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Ids *tokens = ids_from(tape, text, 1, T), *targets = ids_from(tape, text + 1, 1, T);
    Tensor *logits = t_keep_grad(model_logits(&rnn->model, tokens, NULL, 0));
    Tensor *loss = t_keep_grad(t_cross_entropy(logits, targets));
    backward(loss);

    Twin twins[2 + PARAMS] = {{"loss", &sloss, loss}, {"logits", slogits, logits}};
    for (int i = 0; i < PARAMS; i++)
        twins[2 + i] = (Twin){param[i].name, w[i], param[i].tensor};
    bool agree = verify_twins(twins, 2 + PARAMS);
    scalars_free(s);
    tape_free(tape);
    rnn->model.free(&rnn->model);
    return agree;
}

bool compare_cells(float fault)
{
    bool agree = true;
    for (CellKind cell = CELL_RNN; cell <= CELL_LSTM; cell++) {
        printf("%s, %d characters:\n\n", cell_name(cell), T);
        agree &= compare_cell(cell, fault);
        putchar('\n');
    }
    return agree;
}
