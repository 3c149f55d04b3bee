/* spec.c - the three cells once more, in scalars, straight from the equations. Nothing here
 * is fast, and nothing is shared with the tensor code but the scalar engine. */
#include "spec.h"

#include <string.h>

/* The sum of w_k x_k, and a bias. */
static Scalar *weighted(int n, Scalar **w, Scalar **x, Scalar *bias)
{
    Scalar *sum = bias;
    for (int k = 0; k < n; k++)
        sum = s_add(sum, s_mul(w[k], x[k]));
    return sum;
}

/* What unit j of a gate hears from the input, W x + b, and what from the unit's own layer,
 * U h + b. */
static Scalar *from_input(const SpecLayer *p, int gate, int j, Scalar **x)
{
    int row = gate * p->C + j;
    return weighted(p->E, &p->w_ih[row * p->E], x, p->b_ih[row]);
}

static Scalar *from_h(const SpecLayer *p, int gate, int j, Scalar **h)
{
    int row = gate * p->C + j;
    return weighted(p->C, &p->w_hh[row * p->C], h, p->b_hh[row]);
}

static Scalar *from_both(const SpecLayer *p, int gate, int j, Scalar **x, Scalar **h)
{
    return s_add(from_input(p, gate, j, x), from_h(p, gate, j, h));
}

/* No unit may see the new value of another before all are done. */
static void replace(int n, Scalar **old, Scalar **fresh)
{
    memcpy(old, fresh, (size_t)n * sizeof *old);
}

/* Elman 1990, with tanh: h' = tanh(W x + U h). */
void spec_rnn(const SpecLayer *p, Scalar **x, Scalar **h)
{
    Scalar *fresh[p->C];
    for (int j = 0; j < p->C; j++)
        fresh[j] = s_tanh(from_both(p, 0, j, x, h));
    replace(p->C, h, fresh);
}

/* Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins
 * 2000, section 3: c' = f c + i g, h' = o tanh(c'). Gates in PyTorch's order: i, f, g, o. */
void spec_lstm(const SpecLayer *p, Scalar **x, Scalar **h, Scalar **c)
{
    Scalar *fresh[p->C];
    for (int j = 0; j < p->C; j++) {
        Scalar *i = s_sigmoid(from_both(p, 0, j, x, h));
        Scalar *f = s_sigmoid(from_both(p, 1, j, x, h));
        Scalar *g = s_tanh(from_both(p, 2, j, x, h));
        Scalar *o = s_sigmoid(from_both(p, 3, j, x, h));
        c[j] = s_add(s_mul(f, c[j]), s_mul(i, g));
        fresh[j] = s_mul(o, s_tanh(c[j]));
    }
    replace(p->C, h, fresh);
}

/* Cho and others 2014, equations 5 to 8, but with the reset r after the matrix product, as
 * PyTorch has it: n = tanh(W x + r (U h)), h' = (1 - z) n + z h. Gates: r, z, n. */
void spec_gru(const SpecLayer *p, Scalar **x, Scalar **h)
{
    Scalar *fresh[p->C];
    for (int j = 0; j < p->C; j++) {
        Scalar *r = s_sigmoid(from_both(p, 0, j, x, h));
        Scalar *z = s_sigmoid(from_both(p, 1, j, x, h));
        Scalar *n = s_tanh(s_add(from_input(p, 2, j, x), s_mul(r, from_h(p, 2, j, h))));
        fresh[j] = s_add(s_mul(s_plus(s_neg(z), 1), n), s_mul(z, h[j]));
    }
    replace(p->C, h, fresh);
}

void spec_decoder(int V, int C, Scalar **w, Scalar **b, Scalar **h, Scalar **logits)
{
    for (int v = 0; v < V; v++)
        logits[v] = weighted(C, &w[v * C], h, b[v]);
}

Scalar *spec_cross_entropy(int V, Scalar **logits, int target)
{
    Scalar *sum = s_exp(logits[0]);
    for (int v = 1; v < V; v++)
        sum = s_add(sum, s_exp(logits[v]));
    return s_sub(s_log(sum), logits[target]);
}
