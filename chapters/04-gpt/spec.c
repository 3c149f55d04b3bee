/* spec.c - the mechanism of GPT once more, in scalars, straight from the equations. Nothing
 * here is fast, and nothing is shared with the tensor code but the scalar engine. */
#include "spec.h"

#include <math.h>

/* The sum of a_i b_i, where one step along b is `stride` numbers. */
static Scalar *dot(int n, Scalar **a, Scalar **b, int stride)
{
    Scalar *sum = s_mul(a[0], b[0]);
    for (int i = 1; i < n; i++)
        sum = s_add(sum, s_mul(a[i], b[i * stride]));
    return sum;
}

Grid spec_linear(Grid x, Grid w, Grid b)
{
    Grid y = grid_new(x.at[0]->tape, x.rows, w.columns);
    for (int i = 0; i < y.rows; i++)
        for (int j = 0; j < y.columns; j++)
            grid_row(y, i)[j] = s_add(dot(x.columns, grid_row(x, i), &w.at[j], w.columns),
                                      b.at[j]);
    return y;
}

/* exp(x_j) / sum over k of exp(x_k), in place. */
static void softmax(int n, Scalar **x)
{
    Scalar *sum = x[0] = s_exp(x[0]);
    for (int j = 1; j < n; j++)
        sum = s_add(sum, x[j] = s_exp(x[j]));
    for (int j = 0; j < n; j++)
        x[j] = s_div(x[j], sum);
}

/* Vaswani et al. 2017, equation 1, where position t sees the positions s <= t and no
 * others: y_t = sum over s of softmax_s(q_t k_s / sqrt(D)) v_s. */
Grid spec_attention(Grid qkv)
{
    int D = qkv.columns / 3;
    Grid y = grid_new(qkv.at[0]->tape, qkv.rows, D);
    for (int t = 0; t < y.rows; t++) {
        Scalar *weight[t + 1];
        for (int s = 0; s <= t; s++)
            weight[s] = s_times(dot(D, grid_row(qkv, t), grid_row(qkv, s) + D, 1),
                                1 / sqrt(D));
        softmax(t + 1, weight);
        for (int d = 0; d < D; d++)
            grid_row(y, t)[d] = dot(t + 1, weight, &qkv.at[2 * D + d], qkv.columns);
    }
    return y;
}

Scalar *spec_cross_entropy(Grid x, Grid table, int target)
{
    Scalar **logits = s_array(x.at[0]->tape, table.rows);
    for (int j = 0; j < table.rows; j++)
        logits[j] = dot(x.columns, x.at, grid_row(table, j), 1);
    softmax(table.rows, logits);
    return s_neg(s_log(logits[target]));
}
