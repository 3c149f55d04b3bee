/* spec.c - attention once more, in scalars, straight from the equations of Vaswani et al.
 * 2017. Nothing here is fast, and nothing is shared with the tensor code but the scalar
 * engine. */
#include "spec.h"

#include <math.h>

static Scalar *dot(int n, Scalar **a, Scalar **b)
{
    Scalar *sum = s_mul(a[0], b[0]);
    for (int i = 1; i < n; i++)
        sum = s_add(sum, s_mul(a[i], b[i]));
    return sum;
}

Grid spec_linear(Grid x, Grid w, Grid b)
{
    Grid y = grid_new(x.at[0]->tape, x.rows, w.rows);
    for (int i = 0; i < y.rows; i++)
        for (int j = 0; j < y.columns; j++)
            grid_row(y, i)[j] = s_add(dot(x.columns, grid_row(x, i), grid_row(w, j)),
                                      b.at[j]);
    return y;
}

/* Equation 1 for one query: the sum over s of softmax_s(q k_s / sqrt(D)) v_s, taken over
 * the places s that it may see. */
static void attend(Scalar **out, Scalar **q, Grid k, Grid v, const int *keep)
{
    int D = k.columns;
    Scalar *total = s_new(q[0]->tape, 0), *weight[k.rows];
    for (int s = 0; s < k.rows; s++)
        if (keep[s]) {
            weight[s] = s_exp(s_times(dot(D, q, grid_row(k, s)), 1 / sqrt(D)));
            total = s_add(total, weight[s]);
        }
    for (int d = 0; d < D; d++) {
        out[d] = s_new(q[0]->tape, 0);
        for (int s = 0; s < k.rows; s++)
            if (keep[s])
                out[d] = s_add(out[d], s_mul(s_div(weight[s], total), grid_row(v, s)[d]));
    }
}

Grid spec_attention(Grid q, Grid k, Grid v, const int *keep)
{
    Grid y = grid_new(q.at[0]->tape, q.rows, v.columns);
    for (int t = 0; t < q.rows; t++)
        attend(grid_row(y, t), grid_row(q, t), k, v, keep + t * k.rows);
    return y;
}

/* Section 3.5: channels 2i and 2i + 1 are sine and cosine of t / 10000^(2i / C). */
Grid spec_positions(Scalars *tape, int past, int T, int C)
{
    Grid table = grid_new(tape, T, C);
    for (int t = 0; t < T; t++)
        for (int i = 0; 2 * i < C; i++) {
            double angle = (past + t) / pow(10000, 2.0 * i / C);
            grid_row(table, t)[2 * i] = s_new(tape, sin(angle));
            if (2 * i + 1 < C)
                grid_row(table, t)[2 * i + 1] = s_new(tape, cos(angle));
        }
    return table;
}
