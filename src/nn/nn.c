/* nn.c - parameters that have names, and the layers that have no lesson of their own. */
#include "nn/nn.h"
#include "tensor/ops.h"
#include "tensor/packed.h"
#include "base/random.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

Params *params_new(uint64_t seed)
{
    Params *params = allocate(1, sizeof *params);
    params->seed = seed;
    return params;
}

Params *params_for_inference(void)
{
    Params *params = params_new(0);
    params->inference = true;
    return params;
}

struct Held {
    void *what;
    void (*release)(void *what);
    struct Held *next;
};

void params_hold(Params *params, void *what, void (*release)(void *what))
{
    struct Held *held = allocate(1, sizeof *held);
    *held = (struct Held){what, release, params->held};
    params->held = held;
}

void params_free(Params *params)
{
    if (!params)
        return;
    for (int i = 0; i < params->count; i++) {
        t_lasting_free(params->item[i].tensor);
        free(params->item[i].name);
        free(params->item[i].file_name);
    }
    for (struct Held *held = params->held, *next; held; held = next) {
        next = held->next;
        held->release(held->what);
        free(held);
    }
    free(params->item);
    free(params);
}

Tensor *params_find(const Params *params, const char *name)
{
    for (int i = 0; i < params->count; i++)
        if (strcmp(params->item[i].name, name) == 0)
            return params->item[i].tensor;
    return NULL;
}

int params_freeze(Params *params, const char *prefix)
{
    int count = 0;
    for (int i = 0; i < params->count; i++) {
        if (strncmp(params->item[i].name, prefix, strlen(prefix)) != 0)
            continue;
        Storage *s = params->item[i].tensor->storage;
        free(s->grad);
        s->grad = NULL;
        s->wants_grad = s->keeps_grad = false;
        count++;
    }
    return count;
}

/* The first number in a name that stands alone between dots, and where it ends; -1 if
 * none. */
static long layer_number(const char *name, const char **end)
{
    for (const char *dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.'))
        if (isdigit((unsigned char)dot[1])) {
            char *after;
            long number = strtol(dot + 1, &after, 10);
            *end = after;
            return *after == '.' ? number : -1;
        }
    return -1;
}

/* How many names are like this one but for the number of the layer. */
static int alike(const Params *params, const char *name, const char *end)
{
    size_t before = (size_t)(end - 1 - name); /* the number is a 0 */
    int count = 0;
    for (int i = 0; i < params->count; i++) {
        const char *other_end, *other = params->item[i].name;
        count += layer_number(other, &other_end) >= 0 &&
                 strncmp(other, name, before) == 0 && strcmp(other_end, end) == 0;
    }
    return count;
}

void params_print(FILE *out, const Params *params)
{
    for (int i = 0; i < params->count; i++) {
        const Tensor *x = params->item[i].tensor;
        const char *end, *name = params->item[i].name;
        char shown[128];
        long number = layer_number(name, &end);
        if (number > 0)
            continue;
        snprintf(shown, sizeof shown, "%s", name);
        if (number == 0)
            snprintf(shown, sizeof shown, "%.*s*%s", (int)(end - name - 1), name, end);
        int layers = number == 0 ? alike(params, name, end) : 1;
        fprintf(out, "  %-28s %-12s %10ld", shown, t_text(x), t_size(x));
        if (layers > 1)
            fprintf(out, " each of %d", layers);
        fputc('\n', out);
    }
    fprintf(out, "  %-28s %-12s %10.0f\n", "all together", "", params->elements);
}

Scope scope(Params *params)
{
    return (Scope){params, ""};
}

Scope under(Scope parent, const char *format, ...)
{
    size_t length = strlen(parent.prefix), room = sizeof parent.prefix - length;
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(parent.prefix + length, room, format, arguments);
    va_end(arguments);
    if (written + 1 >= (int)room)
        misuse("under: the name %s is too long", parent.prefix);
    strcat(parent.prefix, ".");
    return parent;
}

Init normal(double deviation)
{
    return (Init){INIT_NORMAL, (float)deviation};
}

Init uniform(double bound)
{
    return (Init){INIT_UNIFORM, (float)bound};
}

Init constant(double value)
{
    return (Init){INIT_CONSTANT, (float)value};
}

static void initialise(Tensor *x, Init init, uint64_t seed, uint64_t stream)
{
    for (long i = 0; i < t_size(x); i++) {
        uint64_t at = (uint64_t)i;
        if (init.kind == INIT_NORMAL)
            x->data[i] = init.size * random_normal(seed, stream, at);
        else if (init.kind == INIT_UNIFORM)
            x->data[i] = init.size * (2 * random_uniform(seed, stream, at) - 1);
        else
            x->data[i] = init.size;
    }
}

/* Counts so many elements more. Training keeps four floats for each parameter, itself, its
 * gradient and two moments; a state is one. Asking for more than the machine has is refused
 * before the system can promise it. */
static void take_memory(Params *params, double elements, int floats)
{
    params->bytes += elements * floats * sizeof(float);
    double bytes = params->bytes;
    if (bytes > (double)physical_memory())
        out_of_model_memory(bytes < 1e18 ? (size_t)bytes : SIZE_MAX, "the model");
}

typedef enum { STATE, LEARNS, WAITS } Kind;

/* Puts a tensor on the list. */
static Param *add(Scope scope, const char *name, Kind kind, int rank, const int *shape)
{
    Params *params = scope.params;
    char full[192];
    int length = snprintf(full, sizeof full, "%s%s", scope.prefix, name);
    if (length >= (int)sizeof full)
        misuse("param: the name %s is too long", full);
    if (params_find(params, full))
        misuse("param: there is already a %s", full);
    double elements = 1;
    for (int i = 0; i < rank; i++)
        elements *= shape[i];
    params->elements += elements;
    take_memory(params, elements, kind == LEARNS ? 4 : kind == STATE ? 1 : 0);

    if ((params->count & (params->count - 1)) == 0) { /* full: make twice the room */
        size_t room = params->count ? 2 * (size_t)params->count : 1;
        Param *larger = realloc(params->item, room * sizeof *larger);
        if (!larger)
            out_of_model_memory(room * sizeof *larger, "the list of parameters");
        params->item = larger;
    }
    char *kept = allocate((size_t)length + 1, 1);
    memcpy(kept, full, (size_t)length + 1);
    Tensor *x = kind == WAITS ? t_waiting(rank, shape)
                              : t_lasting(kind == LEARNS, rank, shape);
    params->item[params->count] = (Param){.name = kept, .tensor = x, .decays = rank >= 2};
    return &params->item[params->count++];
}

float *param_own(Params *params, Param *p)
{
    const Storage *s = p->tensor->storage;
    if (!s->data || s->lent)
        take_memory(params, (double)s->size, 1);
    return t_own(p->tensor);
}

void param_begin(Params *params, Param *p)
{
    param_own(params, p);
    initialise(p->tensor, p->init, params->seed, random_stream(p->name));
}

static Tensor *make_param(Scope scope, const char *name, int rank, const int *shape,
                          Init init)
{
    Params *params = scope.params;
    Param *p = add(scope, name, params->inference ? WAITS : LEARNS, rank, shape);
    p->init = init;
    if (!params->inference)
        param_begin(params, p);
    return p->tensor;
}

Tensor *param1(Scope scope, const char *name, int a, Init init)
{
    return make_param(scope, name, T_INTS(a), init);
}

Tensor *param2(Scope scope, const char *name, int a, int b, Init init)
{
    return make_param(scope, name, T_INTS(a, b), init);
}

Tensor *param3(Scope scope, const char *name, int a, int b, int c, Init init)
{
    return make_param(scope, name, T_INTS(a, b, c), init);
}

Tensor *param4(Scope scope, const char *name, int a, int b, int c, int d, Init init)
{
    return make_param(scope, name, T_INTS(a, b, c, d), init);
}

Tensor *state_of(Scope scope, const char *name, int rank, const int *shape)
{
    return add(scope, name, STATE, rank, shape)->tensor;
}

/* Which parameter of the list this is. */
static Param *param_of(const Params *params, const Tensor *x)
{
    for (int i = params->count - 1; i >= 0; i--)
        if (params->item[i].tensor == x)
            return &params->item[i];
    misuse("%s is not a parameter of this list", t_text(x));
}

Tensor *param_matrix(Scope scope, const char *name, int rows, int columns, Init init)
{
    Tensor *x = param(scope, name, rows, columns, init);
    param_of(scope.params, x)->multiplies = true;
    return x;
}

Tensor *no_decay(Scope scope, Tensor *x)
{
    param_of(scope.params, x)->decays = false;
    return x;
}

Linear linear_new(Scope scope, int in, int out, Init weight)
{
    Linear l = linear_new_unbiased(scope, in, out, weight);
    l.bias = param(scope, "bias", out, constant(0));
    return l;
}

Linear linear_new_by_input(Scope scope, int in, int out, Init weight)
{
    Linear l;
    l.weight = param_matrix(scope, "weight", in, out, weight);
    l.bias = param(scope, "bias", out, constant(0));
    return l;
}

Linear linear_new_unbiased(Scope scope, int in, int out, Init weight)
{
    return (Linear){t_transpose(param_matrix(scope, "weight", out, in, weight)), NULL};
}

Tensor *linear(const Linear *l, Tensor *x)
{
    return l->bias ? t_affine(x, l->weight, l->bias) : t_matmul(x, l->weight);
}

LayerNorm layer_norm_new(Scope scope, int C, float epsilon)
{
    LayerNorm n = {.epsilon = epsilon};
    n.weight = param(scope, "weight", C, constant(1));
    n.bias = param(scope, "bias", C, constant(0));
    return n;
}

Tensor *layer_norm(const LayerNorm *n, Tensor *x)
{
    return t_layer_norm(x, n->weight, n->bias, n->epsilon);
}

RmsNorm rms_norm_new(Scope scope, int C, float epsilon)
{
    return (RmsNorm){param(scope, "weight", C, constant(1)), epsilon};
}

Tensor *rms_norm(const RmsNorm *n, Tensor *x)
{
    return t_rms_norm(x, n->weight, n->epsilon);
}
