/* compare.c - the mechanism of the chapter in scalars and in tensors, side by side. */
#include "compare.h"
#include "spec.h"
#include "transformer.h"
#include "run/verify.h"

/* Two queries of three channels attend to four places. */
enum { T = 2, S = 4, C = 3, PAST = 5 };
static const int keep[T * S] = {1, 1, 0, 0, 1, 1, 1, 0};

static Transformer *example_model(void)
{
    TransformerConfig config = {.source_symbols = S,
                                .target_symbols = S,
                                .layers = 1,
                                .decoder_layers = 1,
                                .heads = 1,
                                .width = C,
                                .hidden = C};
    Transformer *m = transformer_new(config, params_new(1));
    verify_fill_all(m->model.params);
    return m;
}

static Tensor *parameter(const Transformer *m, const char *name)
{
    char full[96];
    snprintf(full, sizeof full, "decoder.layers.0.multihead_attn.%s", name);
    return params_find(m->model.params, full);
}

static Tensor *data(Tape *tape, int rows, int which)
{
    Tensor *x = t_empty(tape, 1, rows, C);
    verify_fill(x, which);
    return t_keep_grad(x);
}

/* The mean of the squares. */
static Scalar *spec_loss(Grid y)
{
    int n = y.rows * y.columns;
    Scalar *sum = s_mul(y.at[0], y.at[0]);
    for (int i = 1; i < n; i++)
        sum = s_add(sum, s_mul(y.at[i], y.at[i]));
    return s_times(sum, 1.0 / n);
}

bool compare_attention(float fault)
{
    Transformer *m = example_model();
    const Attention *a = &m->decoder[0].multihead_attn;
    Tensor *w = parameter(m, "in_proj_weight"), *b = parameter(m, "in_proj_bias");
    Tensor *w_out = parameter(m, "out_proj.weight"), *b_out = parameter(m, "out_proj.bias");
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = data(tape, T, 20), *source = data(tape, S, 21);

    Scalars *s = scalars_new();
    Grid sx = verify_grid(s, x), ssource = verify_grid(s, source);
    Grid sw = verify_grid(s, w), sb = verify_grid(s, b), sw_out = verify_grid(s, w_out);
    Grid sb_out = verify_grid(s, b_out), qkv[3];
    for (int i = 0; i < 3; i++) /* queries, keys, values */
        qkv[i] = spec_linear(i == 0 ? sx : ssource, grid_rows(sw, i * C, (i + 1) * C),
                             (Grid){1, C, sb.at + i * C});
    Grid sy = spec_linear(spec_attention(qkv[0], qkv[1], qkv[2], keep), sw_out, sb_out);
    Grid splaces = spec_positions(s, PAST, T, C);
    Scalar *sloss = spec_loss(sy);
    s_backward(sloss);

    w->data[0] += fault;
    Tensor *mask = t_empty(tape, T, S), *places = transformer_sinusoids(tape, PAST, T, C);
    for (int i = 0; i < T * S; i++)
        mask->data[i] = (float)keep[i];
    Tensor *q = linear(&a->queries, x), *kv = linear(&a->keys_values, source);
    Tensor *y = t_keep_grad(transformer_attention(a, q, kv, mask, "cross", 0));
    Tensor *loss = t_keep_grad(t_mean_all(t_mul(y, y)));
    backward(loss);

    const Twin twins[] = {{"loss", &sloss, loss},
                          {"attention", sy.at, y},
                          {"x", sx.at, x},
                          {"source", ssource.at, source},
                          {"in_proj_weight", sw.at, w},
                          {"in_proj_bias", sb.at, b},
                          {"out_proj.weight", sw_out.at, w_out},
                          {"out_proj.bias", sb_out.at, b_out},
                          {"positions", splaces.at, places}};
    bool agree = verify_twins(twins, (int)(sizeof twins / sizeof twins[0]));
    scalars_free(s);
    tape_free(tape);
    m->model.free(&m->model);
    return agree;
}
