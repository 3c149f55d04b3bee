/* test_optim.c - the optimizer against its paper, against PyTorch, and its helpers. */
#include "nn/optim.h"
#include "tensor/parallel.h"
#include "base/random.h"
#include "weights/safetensors.h"
#include "suite.h"

#include <math.h>
#include <string.h>

/* Four shapes, of ranks 1 to 4, with random numbers in them and in their gradients. */
static Params *made_params(void)
{
    Params *params = params_new(4);
    param(scope(params), "vector", 7, normal(1));
    param(scope(params), "matrix", 5, 3, normal(1));
    param(scope(params), "cube", 2, 3, 5, normal(1));
    param(scope(params), "more", 2, 1, 3, 2, normal(1));
    return params;
}

static void draw_gradients(Params *params, int step)
{
    for (int k = 0; k < params->count; k++) {
        Tensor *x = params->item[k].tensor;
        for (long i = 0; i < t_size(x); i++)
            t_grad(x)[i] = random_normal((uint64_t)step, (uint64_t)k, (uint64_t)i);
    }
}

static void assert_close(double got, double want, double tolerance, const char *what,
                         int at)
{
    ck_assert_msg(fabs(got - want) <= tolerance, "%s, at %d: %.9g, not %.9g", what, at, got,
                  want);
}

/* ---- The steps ---- */

/* Algorithm 2 of the paper, with PyTorch's reading of the decay: line by line, in
 * double. */
typedef struct {
    double theta, m, v;
} Element;

static void paper_step(Element *e, double g, int t, double alpha, double beta1,
                       double beta2, double lambda)
{
    e->theta -= alpha * lambda * e->theta;
    e->m = beta1 * e->m + (1 - beta1) * g;
    e->v = beta2 * e->v + (1 - beta2) * g * g;
    double m_hat = e->m / (1 - pow(beta1, t)), v_hat = e->v / (1 - pow(beta2, t));
    e->theta -= alpha * m_hat / (sqrt(v_hat) + 1e-8);
}

/* Steps are compared by what they change: an error in a small step would drown in a large
 * parameter. */
static void assert_follows_the_paper(double beta1, double beta2, double decay,
                                     double factor)
{
    enum { STEPS = 20, MOST = 30, ALPHA = 50 };
    Params *params = made_params();
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, params, beta1, beta2, decay);
    Element element[4][MOST] = {0};
    for (int k = 0; k < 4; k++)
        for (long i = 0; i < t_size(params->item[k].tensor); i++)
            element[k][i].theta = params->item[k].tensor->data[i];
    for (int t = 1; t <= STEPS; t++) {
        double alpha = 1.0 / (ALPHA + t);
        draw_gradients(params, t);
        for (int k = 0; k < 4; k++) {
            const Tensor *x = params->item[k].tensor;
            for (long i = 0; i < t_size(x); i++)
                paper_step(&element[k][i], factor * t_grad(x)[i], t, alpha, beta1, beta2,
                           x->rank >= 2 ? decay : 0);
        }
        optimizer_step(adam, alpha, factor);
        for (int k = 0; k < 4; k++) {
            const Tensor *x = params->item[k].tensor;
            for (long i = 0; i < t_size(x); i++)
                assert_close(x->data[i], element[k][i].theta, 4e-7 * (1 + 0.1 * t),
                             params->item[k].name, t);
        }
    }
    ck_assert_int_eq(adam->steps, STEPS);
    optimizer_free(adam);
    params_free(params);
}

START_TEST(steps_are_those_of_the_paper)
{
    assert_follows_the_paper(0.9, 0.999, 0, 1);
    assert_follows_the_paper(0.9, 0.95, 0, 1);
    assert_follows_the_paper(0, 0.5, 0, 1);
    assert_follows_the_paper(0.9, 0.99, 0, 1e-8); /* as small as epsilon */
}
END_TEST

START_TEST(matrices_decay_and_vectors_do_not)
{
    assert_follows_the_paper(0.9, 0.99, 0.3, 1);
    Params *params = made_params(), *before = made_params();
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, params, 0.9, 0.99, 0.25);
    optimizer_step(adam, 0.5, 1); /* all gradients are zero: what moves, decays */
    for (int k = 0; k < 4; k++) {
        const Tensor *x = params->item[k].tensor, *old = before->item[k].tensor;
        for (long i = 0; i < t_size(x); i++)
            ck_assert_float_eq(x->data[i], old->data[i] * (k == 0 ? 1 : 0.875f));
    }
    optimizer_free(adam);
    params_free(params);
    params_free(before);
}
END_TEST

START_TEST(gradients_are_multiplied_by_the_factor)
{
    assert_follows_the_paper(0.9, 0.99, 0.1, 0.03);
}
END_TEST

/* With beta2 near 1, what is left of 1 in float32 would be off by 2e-5. */
START_TEST(second_moments_keep_their_precision)
{
    Params *params = made_params();
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, params, 0.9, 0.9999, 0);
    draw_gradients(params, 3);
    float g = t_grad(params->item[1].tensor)[2];
    optimizer_step(adam, 0.1, 1);
    double m = params_find(adam->moments, "m.matrix")->data[2],
           v = params_find(adam->moments, "v.matrix")->data[2];
    ck_assert_double_le(fabs(m / (0.1 * g) - 1), 1e-6);
    ck_assert_double_le(fabs(v / (1e-4 * g * g) - 1), 1e-6);
    optimizer_free(adam);
    params_free(params);
}
END_TEST

START_TEST(a_step_clears_the_gradients_and_counts_as_a_write)
{
    Params *params = made_params();
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, params, 0.9, 0.99, 0.1);
    draw_gradients(params, 1);
    int writes = params->item[2].tensor->storage->writes;
    optimizer_step(adam, 0.01, 1);
    ck_assert_int_gt(params->item[2].tensor->storage->writes, writes);
    for (int k = 0; k < 4; k++)
        for (long i = 0; i < t_size(params->item[k].tensor); i++)
            ck_assert_float_eq(t_grad(params->item[k].tensor)[i], 0);
    optimizer_free(adam);
    params_free(params);
}
END_TEST

START_TEST(moments_are_named_after_their_parameters)
{
    Params *params = made_params();
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, params, 0.9, 0.99, 0.1);
    ck_assert_int_eq(adam->moments->count, 8);
    ck_assert_str_eq(adam->moments->item[2].name, "m.matrix");
    ck_assert_str_eq(adam->moments->item[3].name, "v.matrix");
    ck_assert_str_eq(t_text(params_find(adam->moments, "v.cube")), "(2, 3, 5)");
    optimizer_free(adam);
    optimizer_free(NULL);
    params_free(params);
}
END_TEST

/* ---- PyTorch's numbers; tests/fixtures/adamw.py describes them ---- */

static const SafeTensor *tensor_of(const Safetensors *file, const char *kind,
                                   const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", kind, name);
    const SafeTensor *t = safetensors_find(file, full);
    ck_assert_msg(t != NULL, "%s is not in the fixture", full);
    return t;
}

static void fill(float *out, const SafeTensor *t)
{
    Error error = {""};
    ck_assert_msg(safetensors_to_floats(t, out, &error), "%s", error.text);
}

static void assert_tensor(const Tensor *x, const Safetensors *file, const char *kind,
                          const char *name)
{
    float want[200];
    const SafeTensor *t = tensor_of(file, kind, name);
    ck_assert_int_eq(t->size, t_size(x));
    fill(want, t);
    double greatest = 0;
    for (long i = 0; i < t->size; i++)
        greatest = fmax(greatest, fabs(want[i]));
    for (long i = 0; i < t->size; i++)
        assert_close(x->data[i], want[i], 1e-6 * greatest, t->name, (int)i);
}

START_TEST(ten_steps_are_those_of_pytorch)
{
    static const char *const name[] = {"matrix", "vector"};
    Error error = {""};
    Safetensors *file = safetensors_open("tests/fixtures/adamw.safetensors", &error);
    ck_assert_msg(file != NULL, "%s", error.text);
    Params *params = params_new(0);
    Tensor *x[] = {param(scope(params), name[0], 3, 4, constant(0)),
                   param(scope(params), name[1], 5, constant(0))};
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, params, 0.9, 0.999, 0.1);
    float grad[2][120], norm[10], rate[10];
    fill(norm, safetensors_find(file, "norm"));
    fill(rate, safetensors_find(file, "rate"));
    for (int k = 0; k < 2; k++) {
        fill(x[k]->data, tensor_of(file, "start", name[k]));
        fill(grad[k], tensor_of(file, "grad", name[k]));
    }

    for (int step = 0; step < 10; step++) {
        for (int k = 0; k < 2; k++)
            memcpy(t_grad(x[k]), grad[k] + step * t_size(x[k]),
                   (size_t)t_size(x[k]) * sizeof(float));
        double length = gradient_norm(params),
               lr = cosine_schedule(step, 10, 3, 0.05, 0.005);
        assert_close(length, norm[step], 1e-6 * norm[step], "norm", step);
        assert_close(lr, rate[step], 1e-7 * rate[step], "rate", step);
        optimizer_step(adam, lr, clip_factor(length, 0.5));
        for (int k = 0; step == 0 && k < 2; k++)
            assert_tensor(x[k], file, "first", name[k]);
    }
    for (int k = 0; k < 2; k++) {
        assert_tensor(x[k], file, "end", name[k]);
        assert_tensor(adam->moments->item[2 * k].tensor, file, "m", name[k]);
        assert_tensor(adam->moments->item[2 * k + 1].tensor, file, "v", name[k]);
    }
    optimizer_free(adam);
    params_free(params);
    safetensors_close(file);
}
END_TEST

/* ---- Threads ---- */

/* Large enough to be divided among the threads, with a rest. */
static Params *after_steps(int threads, double *norm)
{
    parallel_threads(threads);
    Params *params = params_new(9);
    Tensor *x = param(scope(params), "x", 1000, 37, normal(1));
    Optimizer *adam = optimizer_new(OPTIMIZER_ADAMW, params, 0.9, 0.99, 0.1);
    for (int step = 0; step < 3; step++) {
        for (long i = 0; i < t_size(x); i++)
            t_grad(x)[i] = x->data[i] * (float)(i % 13) - 0.5f;
        *norm = gradient_norm(params);
        optimizer_step(adam, 0.01, clip_factor(*norm, 1));
    }
    optimizer_free(adam);
    return params;
}

START_TEST(any_number_of_threads_gives_the_same_bits)
{
    double norm[4];
    Params *one = after_steps(1, &norm[1]);
    for (int threads = 2; threads <= 3; threads++) {
        Params *several = after_steps(threads, &norm[threads]);
        ck_assert_mem_eq(several->item[0].tensor->data, one->item[0].tensor->data,
                         37000 * sizeof(float));
        ck_assert_double_eq(norm[threads], norm[1]);
        params_free(several);
    }
    params_free(one);
}
END_TEST

/* ---- Norm and clipping ---- */

START_TEST(the_norm_is_that_of_all_gradients_together)
{
    Params *params = made_params();
    param(scope(params), "large", 97, 101, normal(1)); /* more than one piece of the sum */
    ck_assert_double_eq(gradient_norm(params), 0);
    draw_gradients(params, 5);
    double sum = 0;
    for (int k = 0; k < params->count; k++)
        for (long i = 0; i < t_size(params->item[k].tensor); i++)
            sum += pow(t_grad(params->item[k].tensor)[i], 2);
    ck_assert_double_le(fabs(gradient_norm(params) / sqrt(sum) - 1), 1e-6);
    params_free(params);
}
END_TEST

START_TEST(clipping_only_ever_shortens)
{
    ck_assert_double_eq(clip_factor(0.3, 1), 1);
    ck_assert_double_eq(clip_factor(1, 1), 1);
    ck_assert_double_eq(clip_factor(0, 1), 1);
    ck_assert_double_le(fabs(clip_factor(4, 1) - 0.25), 1e-6);
    ck_assert_double_le(fabs(clip_factor(1e30, 2) / 2e-30 - 1), 1e-6);
    ck_assert_double_le(4 * clip_factor(4, 1), 1);
}
END_TEST

START_TEST(a_clip_of_zero_lets_everything_pass)
{
    ck_assert_double_eq(clip_factor(1e9, 0), 1);
    ck_assert_double_eq(clip_factor(0, 0), 1);
}
END_TEST

START_TEST(the_first_gradient_that_is_no_number_is_named)
{
    Params *params = made_params();
    draw_gradients(params, 1);
    ck_assert(gradient_first_nan(params) == NULL);
    t_grad(params->item[3].tensor)[11] = -INFINITY;
    ck_assert_str_eq(gradient_first_nan(params), "more");
    t_grad(params->item[1].tensor)[14] = NAN;
    ck_assert_str_eq(gradient_first_nan(params), "matrix");
    t_grad(params->item[0].tensor)[0] = INFINITY;
    ck_assert_str_eq(gradient_first_nan(params), "vector");
    ck_assert(!isfinite(gradient_norm(params)));
    params_free(params);
}
END_TEST

/* ---- The schedule ---- */

static void assert_rate(double got, double want)
{
    ck_assert_msg(fabs(got - want) <= 1e-15, "%.17g, not %.17g", got, want);
}

START_TEST(the_schedule_warms_up_and_falls_along_a_cosine)
{
    /* 4 steps of warm-up reach a fifth, two fifths, ... of the peak */
    for (int step = 0; step < 4; step++)
        assert_rate(cosine_schedule(step, 24, 4, 1, 0.1), (step + 1) / 5.0);
    assert_rate(cosine_schedule(4, 24, 4, 1, 0.1), 1);
    assert_rate(cosine_schedule(14, 24, 4, 1, 0.1), 0.55);
    assert_rate(cosine_schedule(9, 24, 4, 1, 0.1), 0.1 + 0.9 * (0.5 + sqrt(0.125)));
    assert_rate(cosine_schedule(24, 24, 4, 1, 0.1), 0.1);
    assert_rate(cosine_schedule(1000, 24, 4, 1, 0.1), 0.1);
    for (int step = 4; step < 24; step++)
        ck_assert_double_lt(cosine_schedule(step + 1, 24, 4, 1, 0.1),
                            cosine_schedule(step, 24, 4, 1, 0.1));
}
END_TEST

START_TEST(the_schedule_has_no_corner_without_a_value)
{
    assert_rate(cosine_schedule(0, 10, 0, 1, 0.1), 1); /* no warm-up */
    assert_rate(cosine_schedule(0, 1, 0, 1, 0.1), 1);
    assert_rate(cosine_schedule(9, 10, 10, 1, 0.1), 10 / 11.0); /* nothing but warm-up */
    assert_rate(cosine_schedule(10, 10, 10, 1, 0.1), 0.1);
    assert_rate(cosine_schedule(5, 10, 100, 1, 0.1), 6 / 101.0);
    assert_rate(cosine_schedule(7, 10, 2, 0.3, 0.3), 0.3); /* never falls */
}
END_TEST

/* Theirs is C^-0.5 min(step^-0.5, step warmup^-1.5), with steps that count from 1. */
START_TEST(the_inverse_square_root_schedule_is_the_papers)
{
    const double C = 512, warmup = 4000;
    for (long step = 0; step < 30000; step += 7) {
        double n = (double)step + 1;
        double theirs = pow(C, -0.5) * fmin(pow(n, -0.5), n * pow(warmup, -1.5));
        double ours = inverse_sqrt_schedule(step, (long)warmup, 1 / sqrt(C * warmup));
        ck_assert_double_eq_tol(ours, theirs, 1e-12 * theirs);
    }
    assert_rate(inverse_sqrt_schedule(99, 100, 3e-3), 3e-3);
    assert_rate(inverse_sqrt_schedule(399, 100, 3e-3), 1.5e-3);
    assert_rate(inverse_sqrt_schedule(0, 0, 3e-3), 3e-3); /* no warm-up */
    assert_rate(inverse_sqrt_schedule(3, 0, 3e-3), 1.5e-3);
}
END_TEST

/* ---- Muon ---- */

/* One turn of x <- a x + b (x x') x + c (x x')^2 x, in double precision; x (m, n), m <=
 * n. */
static void newton_schulz(double *x, int m, int n)
{
    double square[m][m], twice[m][m], next[m][n];
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) {
            square[i][j] = 0;
            for (int k = 0; k < n; k++)
                square[i][j] += x[i * n + k] * x[j * n + k];
        }
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) {
            twice[i][j] = 0;
            for (int k = 0; k < m; k++)
                twice[i][j] += square[i][k] * square[k][j];
        }
    for (int i = 0; i < m; i++)
        for (int k = 0; k < n; k++) {
            next[i][k] = 3.4445 * x[i * n + k];
            for (int j = 0; j < m; j++)
                next[i][k] += (-4.7750 * square[i][j] + 2.0315 * twice[i][j]) *
                              x[j * n + k];
        }
    memcpy(x, next, sizeof next);
}

/* x (rows, columns) by its definition: made as long as one, then five turns on its shorter
 * side. */
static void orthogonalise(double *x, int rows, int columns)
{
    int m = rows < columns ? rows : columns, n = rows < columns ? columns : rows;
    double wide[m * n], sum = 0;
    for (int i = 0; i < rows * columns; i++)
        sum += x[i] * x[i];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            wide[rows <= columns ? i * n + j : j * n + i] = x[i * columns + j] /
                                                            (sqrt(sum) + 1e-7);
    for (int turn = 0; turn < 5; turn++)
        newton_schulz(wide, m, n);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            x[i * columns + j] = wide[rows <= columns ? i * n + j : j * n + i];
}

static void assert_orthogonalised(int rows, int columns)
{
    Tape *tape = tape_new(TAPE_INFERENCE, 0);
    Tensor *x = t_empty(tape, rows, columns);
    int m = rows < columns ? rows : columns;
    double want[rows * columns], size = 0;
    for (int i = 0; i < rows * columns; i++)
        want[i] = (double)(x->data[i] = 30 * random_normal(1, 2, (uint64_t)i));
    orthogonalise(want, rows, columns);
    Tensor *got = orthogonalised(x);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++) {
            double value = (double)got->data[i * got->stride[0] + j * got->stride[1]];
            assert_close(value, want[i * columns + j], 1e-5, "orthogonalised", i);
            size += value * value;
        }
    ck_assert_double_gt(size, 0.49 * m); /* the sum of the squares of m singular values */
    ck_assert_double_lt(size, 1.45 * m);
    tape_free(tape);
}

START_TEST(muon_moves_singular_values_towards_one)
{
    assert_orthogonalised(5, 17);
    assert_orthogonalised(17, 5);
    assert_orthogonalised(7, 7);
}
END_TEST

/* One step of Muon, by its definition (Jordan and others 2024; the size of the step and the
 * decay of Liu and others 2025), in double precision. */
static void muon_definition(double *theta, double *m, const Tensor *gradient, double factor,
                            double alpha, double lambda)
{
    int rows = gradient->shape[0], columns = gradient->shape[1],
        longer = rows > columns ? rows : columns;
    double direction[rows * columns];
    for (int i = 0; i < rows * columns; i++) {
        double g = factor * t_grad(gradient)[i];
        m[i] = 0.95 * m[i] + g;
        direction[i] = g + 0.95 * m[i];
    }
    orthogonalise(direction, rows, columns);
    for (int i = 0; i < rows * columns; i++)
        theta[i] += -alpha * lambda * theta[i] - alpha * 0.2 * sqrt(longer) * direction[i];
}

/* Gradients get shorter from step to step: momentum without its gradient, or the other way
 * round, points elsewhere. */
static void assert_follows_muon(int rows, int columns, double decay, double factor)
{
    enum { STEPS = 8, MOST = 400 };
    double theta[MOST], m[MOST] = {0};
    Params *params = params_new(2);
    Tensor *x = param_matrix(scope(params), "matrix", rows, columns, normal(1));
    Optimizer *muon = optimizer_new(OPTIMIZER_MUON, params, 0.5, 0.6, decay);
    for (int i = 0; i < rows * columns; i++)
        theta[i] = x->data[i];
    for (int t = 1; t <= STEPS; t++) {
        double alpha = 0.1 / (1 + t);
        draw_gradients(params, t);
        for (int i = 0; i < rows * columns; i++)
            t_grad(x)[i] *= 2.0f / (float)t;
        muon_definition(theta, m, x, factor, alpha, decay);
        optimizer_step(muon, alpha, factor);
        for (int i = 0; i < rows * columns; i++) {
            assert_close(x->data[i], theta[i], 3e-6, "muon", t);
            assert_close(muon->m[0]->data[i], m[i], 3e-6 * factor, "momentum", t);
        }
    }
    optimizer_free(muon);
    params_free(params);
}

START_TEST(steps_of_muon_are_those_of_its_definition)
{
    assert_follows_muon(5, 17, 0, 1);
    assert_follows_muon(17, 5, 0.5, 1);
    assert_follows_muon(7, 7, 0.5, 0.03);
    assert_follows_muon(1, 9, 0, 1);
    assert_follows_muon(16, 24, 0, 20);
}
END_TEST

/* Many matrices are divided among threads, few are not: no step may depend on that. */
static Params *after_muon(int threads, int matrices)
{
    parallel_threads(threads);
    Params *params = params_new(9);
    for (int i = 0; i < matrices; i++)
        param_matrix(under(scope(params), "%d", i), "weight", 20 + i, 90, normal(1));
    Optimizer *muon = optimizer_new(OPTIMIZER_MUON, params, 0.9, 0.99, 0.1);
    for (int step = 0; step < 3; step++) {
        draw_gradients(params, step);
        optimizer_step(muon, 0.01, 1);
    }
    optimizer_free(muon);
    return params;
}

START_TEST(muon_gives_the_same_bits_on_any_number_of_threads)
{
    for (int matrices = 1; matrices < 12; matrices += 5) {
        Params *one = after_muon(1, matrices);
        for (int threads = 2; threads <= 3; threads++) {
            Params *several = after_muon(threads, matrices);
            for (int i = 0; i < matrices; i++)
                ck_assert_mem_eq(several->item[i].tensor->data, one->item[i].tensor->data,
                                 (size_t)t_size(one->item[i].tensor) * sizeof(float));
            params_free(several);
        }
        params_free(one);
    }
}
END_TEST

START_TEST(muon_survives_a_gradient_of_zero)
{
    Params *params = params_new(2);
    Tensor *x = param_matrix(scope(params), "matrix", 3, 4, constant(1));
    Optimizer *muon = optimizer_new(OPTIMIZER_MUON, params, 0.9, 0.99, 0.5);
    optimizer_step(muon, 0.25, 1);
    for (int i = 0; i < 12; i++)
        ck_assert_float_eq(x->data[i], 0.875f);
    optimizer_free(muon);
    params_free(params);
}
END_TEST

/* ---- What does not learn, and what does not decay ---- */

/* A layer and a table after three steps, of which "layer." is frozen before the optimizer is
 * made (1), after it (2), or not at all (0). */
static Params *after_freezing(OptimizerKind kind, int when, int *moments)
{
    Params *params = params_new(7);
    linear_new(under(scope(params), "layer"), 6, 4, normal(1));
    param(scope(params), "table", 6, 4, normal(1));
    if (when == 1)
        ck_assert_int_eq(params_freeze(params, "layer."), 2);
    Optimizer *o = optimizer_new(kind, params, 0.9, 0.99, 0.1);
    *moments = o->moments->count;
    if (when == 2)
        params_freeze(params, "layer.");
    for (int step = 0; step < 3; step++) {
        Tensor *table = params_find(params, "table");
        for (long i = 0; i < t_size(table); i++)
            t_grad(table)[i] = random_normal(1, (uint64_t)step, (uint64_t)i);
        optimizer_step(o, 0.01, 1);
    }
    optimizer_free(o);
    return params;
}

START_TEST(what_is_frozen_stays_and_the_rest_moves_as_ever)
{
    for (int kind = OPTIMIZER_ADAMW; kind <= OPTIMIZER_MUON; kind++) {
        int moments[3];
        Params *free_ = after_freezing((OptimizerKind)kind, 0, &moments[0]);
        ck_assert_int_eq(moments[0], kind == OPTIMIZER_MUON ? 5 : 6);
        for (int when = 1; when < 3; when++) {
            Params *frozen = after_freezing((OptimizerKind)kind, when, &moments[when]);
            Params *fresh = params_new(7);
            linear_new(under(scope(fresh), "layer"), 6, 4, normal(1));
            ck_assert_int_eq(moments[when], when == 1 ? 2 : moments[0]);
            for (int i = 0; i < 2; i++) {
                const Tensor *x = frozen->item[i].tensor;
                ck_assert_mem_eq(x->data, fresh->item[i].tensor->data,
                                 (size_t)t_size(x) * sizeof(float));
                ck_assert(t_grad(x) == NULL);
            }
            ck_assert_mem_eq(frozen->item[2].tensor->data, free_->item[2].tensor->data,
                             24 * sizeof(float));
            params_free(fresh);
            params_free(frozen);
        }
        params_free(free_);
    }
}
END_TEST

START_TEST(the_norm_and_the_search_for_nan_pass_over_what_is_frozen)
{
    Params *params = made_params();
    draw_gradients(params, 1);
    double sum = 0;
    for (int k = 0; k < params->count; k++)
        for (long i = 0; k != 1 && i < t_size(params->item[k].tensor); i++)
            sum += pow(t_grad(params->item[k].tensor)[i], 2);
    params_freeze(params, "matrix");
    ck_assert_double_le(fabs(gradient_norm(params) / sqrt(sum) - 1), 1e-6);
    ck_assert(gradient_first_nan(params) == NULL);
    t_grad(params->item[2].tensor)[3] = NAN;
    ck_assert_str_eq(gradient_first_nan(params), "cube");
    params_free(params);
}
END_TEST

/* All gradients are zero: what moves, decays. */
START_TEST(a_matrix_that_is_marked_does_not_decay)
{
    for (int kind = OPTIMIZER_ADAMW; kind <= OPTIMIZER_MUON; kind++) {
        Params *params = params_new(1);
        Scope top = scope(params);
        Tensor *a = no_decay(top, param(top, "A_log", 2, 3, constant(1)));
        Tensor *b = no_decay(top, param_matrix(top, "b", 2, 3, constant(1)));
        Tensor *c = param_matrix(top, "c", 2, 3, constant(1));
        Optimizer *o = optimizer_new((OptimizerKind)kind, params, 0.9, 0.99, 0.25);
        optimizer_step(o, 0.5, 1);
        for (int i = 0; i < 6; i++) {
            ck_assert_float_eq(a->data[i], 1);
            ck_assert_float_eq(b->data[i], 1);
            ck_assert_float_eq(c->data[i], 0.875f);
        }
        optimizer_free(o);
        params_free(params);
    }
}
END_TEST

/* The same parameters and gradients under both rules: only the weight of the linear layer
 * may fare differently, and its step is as long in every direction. */
START_TEST(muon_rules_the_matrices_of_linear_layers_alone)
{
    Params *params[2];
    Optimizer *rule[2];
    for (int k = 0; k < 2; k++) {
        params[k] = params_new(7);
        linear_new(under(scope(params[k]), "layer"), 6, 4, normal(1));
        param(scope(params[k]), "table", 6, 4, normal(1));
        rule[k] = optimizer_new(k ? OPTIMIZER_MUON : OPTIMIZER_ADAMW, params[k], 0.9, 0.99,
                                0.1);
        draw_gradients(params[k], 1);
        optimizer_step(rule[k], 0.01, 1);
    }
    for (int i = 0; i < params[0]->count; i++) {
        const Tensor *a = params[0]->item[i].tensor, *b = params[1]->item[i].tensor;
        size_t bytes = (size_t)t_size(a) * sizeof(float);
        bool same = memcmp(a->data, b->data, bytes) == 0;
        ck_assert_int_eq(same, strcmp(params[0]->item[i].name, "layer.weight") != 0);
        ck_assert_int_eq(rule[1]->v[i] == NULL, !same);
        for (long j = 0; j < t_size(b); j++)
            ck_assert(b->storage->grad[j] == 0);
    }
    for (int k = 0; k < 2; k++) {
        optimizer_free(rule[k]);
        params_free(params[k]);
    }
}
END_TEST

SUITE("optim", 10, steps_are_those_of_the_paper, matrices_decay_and_vectors_do_not,
      gradients_are_multiplied_by_the_factor, second_moments_keep_their_precision,
      a_step_clears_the_gradients_and_counts_as_a_write,
      moments_are_named_after_their_parameters, ten_steps_are_those_of_pytorch,
      any_number_of_threads_gives_the_same_bits, the_norm_is_that_of_all_gradients_together,
      clipping_only_ever_shortens, a_clip_of_zero_lets_everything_pass,
      the_first_gradient_that_is_no_number_is_named,
      the_schedule_warms_up_and_falls_along_a_cosine,
      the_inverse_square_root_schedule_is_the_papers,
      the_schedule_has_no_corner_without_a_value, muon_moves_singular_values_towards_one,
      steps_of_muon_are_those_of_its_definition,
      muon_gives_the_same_bits_on_any_number_of_threads, muon_survives_a_gradient_of_zero,
      what_is_frozen_stays_and_the_rest_moves_as_ever,
      the_norm_and_the_search_for_nan_pass_over_what_is_frozen,
      a_matrix_that_is_marked_does_not_decay,
      muon_rules_the_matrices_of_linear_layers_alone)
