/* window.c - a chapter of one's own: a network that sees the last eight characters. */
#include "run/language.h"
#include "run/verify.h"
#include "tensor/ops.h"

#include <stdlib.h>

/* ---- The model ---- */

enum { LAST = 8 };

typedef struct {
    int vocabulary, context, embedding, width; /* V, the longest T, E, C */
} WindowConfig;

typedef struct {
    Model model;
    WindowConfig config;
    Tensor *wte;   /* (V, E) */
    Linear fc, up; /* 8E -> C, C -> V */
} Window;

/* The last eight embeddings side by side, zeros before the first; then one layer. */
static Tensor *window_forward(const Model *model, const Ids *tokens, Memory *memory,
                              int past)
{
    const Window *m = (const Window *)model;
    int B = tokens->shape[0], T = tokens->shape[1], E = m->config.embedding;
    Tensor *x = t_shaped(t_rows(m->wte, tokens), B, T, E), *part[LAST];
    if (memory)
        x = remember(memory_state(memory, 0), 1, past, x);
    Tensor *both[] = {t_zeros(tokens->tape, B, LAST - 1, E), x};
    Tensor *padded = t_concat(both, 2, 1);
    for (int k = 0; k < LAST; k++)
        part[k] = t_slice(padded, 1, past + k, past + k + T);
    return t_relu(linear(&m->fc, t_concat(part, LAST, 2)));
}

static Tensor *window_head(const Model *model, Tensor *x)
{
    return linear(&((const Window *)model)->up, x);
}

static Memory *window_memory_new(const Model *model, int B)
{
    const WindowConfig *c = &((const Window *)model)->config;
    Memory *memory = memory_new();
    state_new(scope(memory->states), "embeddings", B, c->context, c->embedding);
    return memory;
}

static void window_free(Model *model)
{
    params_free(model->params);
    free(model);
}

static Window *window_new(WindowConfig c, Params *params)
{
    Window *m = allocate(1, sizeof *m);
    m->model = (Model){params,      c.vocabulary,      c.context,          window_forward,
                       window_head, window_memory_new, .free = window_free};
    m->config = c;
    Scope top = scope(params);
    m->wte = param(top, "wte.weight", c.vocabulary, c.embedding, normal(1));
    m->fc = linear_new(under(top, "fc"), LAST * c.embedding, c.width, normal(0.1));
    m->up = linear_new(under(top, "up"), c.width, c.vocabulary, normal(0.1));
    return m;
}

/* ---- The same in scalars, and the comparison ---- */

/* relu of w x + b: x (1, K), w (C, K), b (1, C) -> (1, C). */
static Grid spec_layer(Grid x, Grid w, Grid b)
{
    Grid y = grid_new(x.at[0]->tape, 1, w.rows);
    for (int j = 0; j < y.columns; j++) {
        Scalar *sum = b.at[j];
        for (int k = 0; k < x.columns; k++)
            sum = s_add(sum, s_mul(grid_row(w, j)[k], x.at[k]));
        y.at[j] = s_relu(sum);
    }
    return y;
}

static bool compare(float fault)
{
    enum { V = 4, E = 2, C = 3 };
    Window *m = window_new((WindowConfig){V, LAST, E, C}, params_new(1));
    verify_fill_all(m->model.params);
    Scalars *s = scalars_new();
    Grid wte = verify_grid(s, m->wte), x = grid_new(s, 1, LAST * E);
    Grid w = verify_grid(s, t_transpose(m->fc.weight)), b = verify_grid(s, m->fc.bias);
    for (int i = 0; i < LAST * E; i++)
        x.at[i] = grid_row(wte, i / E % V)[i % E]; /* the text 0 1 2 3 0 1 2 3 */
    Grid h = spec_layer(x, w, b);
    s_backward(h.at[0]);

    m->fc.weight->data[0] += fault;
    Tape *tape = tape_new(TAPE_PROBE, 1);
    Ids *tokens = ids_new(tape, 1, LAST);
    for (int t = 0; t < LAST; t++)
        tokens->at[t] = t % V;
    Tensor *y = t_slice(window_forward(&m->model, tokens, NULL, 0), 1, LAST - 1, LAST);
    backward(t_slice(y, 2, 0, 1)); /* of the first unit; h has no twin of its gradient */
    const Twin twins[] = {{"h", h.at, t_snapshot(tape, y)},
                          {"wte.weight", wte.at, m->wte},
                          {"fc.weight", w.at, t_transpose(m->fc.weight)},
                          {"fc.bias", b.at, m->fc.bias}};
    bool agree = verify_twins(twins, COUNT(twins));
    scalars_free(s), tape_free(tape), window_free(&m->model);
    return agree;
}

/* ---- The program ---- */

typedef struct {
    Language language;
    WindowConfig config;
} Chapter;

static const Settling settling[] = {
    {.option = "embedding", .tensor = "wte.weight", .dimension = 1},
    {.option = "width", .tensor = "fc.weight"},
    {.option = "context", .free = true}};

static Model *build(Run *run, Params *params)
{
    Chapter *chapter = (Chapter *)run;
    chapter->config.vocabulary = chapter->language.vocabulary;
    return &window_new(chapter->config, params)->model;
}

int main(int argc, char **argv)
{
    Chapter c = {.config = {.context = 64, .embedding = 16, .width = 128}};
    Option options[] = {
        option_int("embedding", &c.config.embedding, 1, 65536, "numbers for a token"),
        option_int("width", &c.config.width, 1, 65536, "units of the layer"),
        option_int("context", &c.config.context, 1, 65536, "tokens of a window")};
    TrainerSettings training = {.learning_rate = 3e-3, .beta1 = 0.9, .beta2 = 0.99};
    training.steps = 1000, training.eval_every = 100, training.clip = 1;
    c.language = (Language){
        .run = {"99-window", "Window", "A network learns to write the next character.",
                &next_token, OPTION_GROUP("the model", options), settling, COUNT(settling),
                .build = build, .verify = compare, .batch = 12, .training = training},
        .embedding = "wte.weight",
        .context = &c.config.context};
    return run_main(&c.language.run, argc, argv);
}
