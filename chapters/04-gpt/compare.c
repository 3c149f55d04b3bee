/* compare.c - the mechanism of the chapter in scalars and in tensors, side by side. */
#include "compare.h"
#include "gpt.h"
#include "run/verify.h"
#include "spec.h"

enum { T = 4, C = 3, V = 5, TARGET = 2 };

static Gpt *example_model(void)
{
    GptConfig config = {.vocabulary = V, .context = T, .layers = 1, .heads = 1, .width = C};
    Gpt *gpt = gpt_new(config, params_new(1));
    verify_fill_all(gpt->model.params);
    return gpt;
}

/* One head of attention over four positions of three channels, then the cross-entropy of
 * the last of them. */
bool compare_attention(float fault)
{
    Gpt *gpt = example_model();
    const Linear *attn = &gpt->block[0].c_attn, *proj = &gpt->block[0].attn_c_proj;
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Tensor *x = t_keep_grad(t_snapshot(tape, gpt->wpe));

    Scalars *s = scalars_new();
    Grid sx = verify_grid(s, x), table = verify_grid(s, gpt->wte);
    Grid w_attn = verify_grid(s, attn->weight), b_attn = verify_grid(s, attn->bias);
    Grid w_proj = verify_grid(s, proj->weight), b_proj = verify_grid(s, proj->bias);
    Grid sy = spec_linear(spec_attention(spec_linear(sx, w_attn, b_attn)), w_proj, b_proj);
    Scalar *sloss = spec_cross_entropy(grid_rows(sy, T - 1, T), table, TARGET);
    s_backward(sloss);

    attn->weight->data[0] += fault;
    Tensor *y = t_keep_grad(gpt_attention(gpt, 0, t_reshape(x, 1, T, C), NULL, 0));
    Tensor *last = t_reshape(t_slice(y, 1, T - 1, T), 1, C);
    Ids *target = ids_from(tape, &(int){TARGET}, 1);
    Tensor *loss = t_cross_entropy(t_matmul(last, t_transpose(gpt->wte)), target);
    backward(t_keep_grad(loss));

    const Twin twins[] = {{"loss", &sloss, loss},
                          {"attention", sy.at, y},
                          {"x", sx.at, x},
                          {"wte.weight", table.at, gpt->wte},
                          {"c_attn.weight", w_attn.at, attn->weight},
                          {"c_attn.bias", b_attn.at, attn->bias},
                          {"c_proj.weight", w_proj.at, proj->weight},
                          {"c_proj.bias", b_proj.at, proj->bias}};
    bool agree = verify_twins(twins, (int)(sizeof twins / sizeof twins[0]));
    scalars_free(s);
    tape_free(tape);
    gpt->model.free(&gpt->model);
    return agree;
}
