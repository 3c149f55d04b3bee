# Lineage: the road from the recurrent network to Mamba, in plain C.
# `make help` lists what can be asked for.

CC     ?= cc
BUILD  ?= build
ARGS   ?=

# Asked for where the compiler knows them. Never -ffast-math: results are to be trusted. SSE
# is for PCs of 32 bits, where a float would otherwise have more bits than it says.
WANTED   = -march=native -mfpmath=sse -fno-math-errno -fno-trapping-math
accepted = $(shell echo 'int x;' | $(CC) $(FLAGS) -Werror $(1) -x c -c -o /dev/null - 2>/dev/null && echo $(1))
OPTIMIZE ?= -O3
CFLAGS   ?= $(OPTIMIZE) -g
FLAGS   := -std=gnu11 -Wall -Wextra
$(foreach flag,$(WANTED),$(eval FLAGS += $(call accepted,$(flag))))
LIBS     = -lm -pthread
Q        = $(if $(V),,@)# make V=1 shows the commands

LIBRARY  := $(patsubst src/%.c,$(BUILD)/obj/src/%.o,$(wildcard src/*/*.c))
CHAPTERS := $(notdir $(patsubst %/main.c,%,$(wildcard chapters/*/main.c)))
NUMBERS  := $(foreach chapter,$(CHAPTERS),$(firstword $(subst -, ,$(chapter))))
SUITES   := $(patsubst tests/test_%.c,%,$(wildcard tests/test_*.c))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: help all test check-all check-threads debug weave weave-check book figures data format clean

help:
	@echo 'make chapter-04        build chapter 04 and make its guided run (chapters: $(NUMBERS))'
	@echo 'make chapter-04 ARGS="--steps 5000 --width 256"   the same, with options'
	@echo 'make all               build every chapter, each as build/chapter-NN, and build/chart'
	@echo 'make test              run all tests (needs the Check framework)'
	@echo 'make test-04           run the tests of one chapter, or of one file: make test-ops'
	@echo 'make check-all         all of it: both compilers, sanitizers, formatting, slow tests'
	@echo 'make weave             refresh the code that the chapters show from the source'
	@echo 'make weave-check       say where the two disagree (make test does it, too)'
	@echo 'make debug             build with symbols and checks under build/debug/'
	@echo 'make book              the chapters as a book of HTML, build/book/index.html'
	@echo 'make figures           make the pictures of the chapters again'
	@echo 'make bench-kernels     measure the speed of the library, and make bench-steps:'
	@echo '                       how three loops become a fast matrix product'
	@echo 'make data              download tiny Shakespeare into data/'
	@echo 'make format            format the source'
	@echo 'make clean             remove build/ (what was trained, under runs/, stays)'

all: $(addprefix $(BUILD)/chapter-,$(NUMBERS)) $(BUILD)/chart

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo '  compile $<'
	$(Q)$(CC) $(FLAGS) $(CFLAGS) -Isrc -MMD -MP -c -o $@ $<

# In its narrowest tile GCC likes, on some processors, to multiply and add apart. Then a sum
# would depend on the tile that made it.
WHOLE_FMA := $(call accepted,--param=avoid-fma-max-bits=0)
$(BUILD)/obj/src/tensor/kernels.o: FLAGS += $(WHOLE_FMA)

$(BUILD)/liblineage.a: $(LIBRARY)
	@rm -f $@
	$(Q)ar rcs $@ $^

# One program a chapter: build/chapter-04 from chapters/04-gpt/*.c.
define chapter_rules
$(1)_OBJECTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard chapters/$(1)/*.c))
$(BUILD)/chapter-$(2): $$($(1)_OBJECTS) $(BUILD)/liblineage.a
	@echo '  link $$@'
	$$(Q)$$(CC) $$(FLAGS) $$(CFLAGS) -o $$@ $$^ $$(LDFLAGS) $$(LIBS)
.PHONY: chapter-$(2)
chapter-$(2): $(BUILD)/chapter-$(2)
	@$(BUILD)/chapter-$(2) $$(ARGS)
# A chapter's suite, test_04.c, is linked with the chapter except for its main.
$(BUILD)/tests/$(2): $$(filter-out %/main.o,$$($(1)_OBJECTS)) | $(BUILD)/chapter-$(2)
$(BUILD)/obj/tests/test_$(2).o: FLAGS += -Ichapters/$(1)
endef
$(foreach chapter,$(CHAPTERS),\
  $(eval $(call chapter_rules,$(chapter),$(firstword $(subst -, ,$(chapter))))))

# Draws columns of CSV files: build/chart runs/gpt/log.csv --y val_loss.
$(BUILD)/chart: $(BUILD)/obj/chapters/chart.o $(BUILD)/liblineage.a
	@echo '  link $@'
	$(Q)$(CC) $(FLAGS) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)
$(BUILD)/tests/chart: | $(BUILD)/chart

# The text shows the source: build/weave puts it there, or checks that it is there.
WEAVER := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard docs/*.c) src/base/error.c src/base/files.c)
$(BUILD)/weave: $(WEAVER)
	$(CC) $(FLAGS) $(CFLAGS) -o $@ $^ $(LDFLAGS)
weave: $(BUILD)/weave
	@$(BUILD)/weave
weave-check: $(BUILD)/weave
	@$(BUILD)/weave --check
$(BUILD)/tests/weave: $(BUILD)/obj/docs/pieces.o | $(BUILD)/weave
$(BUILD)/obj/tests/test_weave.o: FLAGS += -Idocs

# A chapter in one file, which docs/contributing.md shows as a recipe for others.
$(BUILD)/chapter-99: $(BUILD)/obj/tests/recipe/window.o $(BUILD)/liblineage.a
	$(Q)$(CC) $(FLAGS) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)
$(BUILD)/tests/recipe $(BUILD)/tests/language: | $(BUILD)/chapter-99 all

# This suite draws with all programs.
$(BUILD)/tests/figures: | all

# This suite counts what is allocated.
$(BUILD)/tests/04: private override LDFLAGS += $(foreach f,malloc calloc realloc aligned_alloc,-Wl,--wrap=$(f))

# The tests. A suite is one file tests/test_NAME.c; what suites share is in tests/support/.
SUPPORT := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/support/*.c))
CHECK    = $(shell pkg-config --libs check 2>/dev/null || echo -lcheck -lsubunit -lrt)

$(BUILD)/obj/tests/%.o: FLAGS += -Itests/support -DBUILD='"$(BUILD)"'

$(BUILD)/tests/%: $(BUILD)/obj/tests/test_%.o $(SUPPORT) $(BUILD)/liblineage.a
	@mkdir -p $(@D)
	@echo '  link $@'
	$(Q)$(CC) $(FLAGS) $(CFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDFLAGS) $(CHECK) $(LIBS)

.PHONY: have-check $(addprefix test-,$(SUITES))
have-check:
	@echo '#include <check.h>' | $(CC) -E -x c - >/dev/null 2>&1 || \
	  { echo 'the tests need the Check framework: on Debian, apt-get install check' >&2; exit 1; }

$(addprefix test-,$(SUITES)): test-%: have-check $(BUILD)/tests/%
	@$(BUILD)/tests/$*

# All suites are run, even after one has failed; the status tells whether any did.
test: have-check $(addprefix $(BUILD)/tests/,$(SUITES))
	@status=0; for suite in $(SUITES); do $(BUILD)/tests/$$suite || status=1; done; exit $$status

debug:
	@$(MAKE) --no-print-directory BUILD=build/debug CFLAGS='-O1 -g -DLINEAGE_DEBUG' all

FORMATTED = $(wildcard src/*/*.[ch] chapters/*.c chapters/*/*.[ch] tests/*.[ch] tests/*/*.[ch] \
  docs/*.[ch])
format:
	clang-format -i $(FORMATTED)

# Vectors are as wide as this processor's registers. Here all that depends on it is tested at
# the widths of other processors, too: 4, 8 and 16 floats.
LANES_4      = $(call accepted,-mno-avx)
LANES_8      = $(call accepted,-mno-avx512f)
LANES_SUITES = vector kernels ops ops_limits packed 01
.PHONY: check-lanes-4 check-lanes-8 check-lanes-16
check-lanes-4 check-lanes-8 check-lanes-16: check-lanes-%:
	@if echo '_Static_assert(LANES == $*, "");' | $(CC) $(FLAGS) $(LANES_$*) -Isrc \
	  -include tensor/vector.h -x c -fsyntax-only - 2>/dev/null; \
	then $(MAKE) --no-print-directory BUILD=build/lanes-$* CFLAGS='-O3 -Werror $(LANES_$*)' \
	  $(addprefix test-,$(LANES_SUITES)); \
	else echo 'no vectors of $* floats on this processor: not tested'; fi

SANITIZE = -O1 -g -DLINEAGE_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=all
check-all:
	clang-format --dry-run --Werror $(FORMATTED)
	$(MAKE) -j2 --no-print-directory check-lanes-4 check-lanes-8 check-lanes-16
	$(MAKE) -j2 --no-print-directory BUILD=build/clang CC=clang CFLAGS='-O3 -Werror' all test
	CK_TIMEOUT_MULTIPLIER=5 $(MAKE) -j2 --no-print-directory BUILD=build/sanitize CFLAGS='$(SANITIZE)' all test
	$(MAKE) -j2 --no-print-directory BUILD=build/thread CC=gcc CFLAGS='-O1 -g -fsanitize=thread' check-threads
	LINEAGE_SLOW=1 $(MAKE) -j2 --no-print-directory BUILD=build/gcc CC=gcc CFLAGS='-O3 -Werror' all test

# The pool, and a few steps of every chapter, under the thread sanitizer: the first race ends
# it.
SHORT = train --steps 2 --batch 8 --threads 4 --out $(BUILD)/run
check-threads: export TSAN_OPTIONS = halt_on_error=1
check-threads: all $(BUILD)/tests/parallel
	$(BUILD)/tests/parallel
	head -c 3000 data/shakespeare.txt >$(BUILD)/short.txt
	$(BUILD)/chapter-00 verify --threads 4 >/dev/null
	$(BUILD)/chapter-02 $(SHORT) --task reverse
	for number in $(filter-out 00 02,$(NUMBERS)); do \
	  $(BUILD)/chapter-$$number $(SHORT) --data $(BUILD)/short.txt || exit 1; done

# The pictures in the chapters, drawn anew by the commands that the text names. All that a
# command leaves is in runs/figures-NN; what the chapter shows is copied from there.
.PHONY: figures-00 figures-01 figures-02 figures-04
figures: figures-00 figures-01 figures-02 figures-04

figures-00: $(BUILD)/chapter-00
	$(BUILD)/chapter-00 moons --out runs/$@
	$(BUILD)/chapter-00 bigram --out runs/$@
	rm -f chapters/00-autograd/figures/*
	cp runs/$@/moons.svg chapters/00-autograd/figures/moons.svg
	cp runs/$@/pairs.svg chapters/00-autograd/figures/pairs.svg

figures-01: $(BUILD)/chapter-01
	$(BUILD)/chapter-01 train --out runs/$@
	$(BUILD)/chapter-01 memory --out runs/$@
	rm -f chapters/01-rnn/figures/*
	cp runs/$@/loss.svg chapters/01-rnn/figures/loss.svg
	cp runs/$@/gradients.svg chapters/01-rnn/figures/gradients.svg
	cp runs/$@/recall.svg chapters/01-rnn/figures/recall.svg

figures-02: $(BUILD)/chapter-02
	$(BUILD)/chapter-02 train --out runs/$@
	$(BUILD)/chapter-02 attention --load runs/$@/model.safetensors --out runs/$@ \
	  --prompt knighthood
	$(BUILD)/chapter-02 train --task reverse --out runs/$@/reverse
	$(BUILD)/chapter-02 attention --load runs/$@/reverse/model.safetensors \
	  --out runs/$@/reverse --prompt lineage
	mv runs/$@/reverse/attention-1.svg runs/$@/reverse.svg
	rm -f chapters/02-transformer/figures/*
	cp runs/$@/loss.svg chapters/02-transformer/figures/loss.svg
	cp runs/$@/attention-1.svg chapters/02-transformer/figures/attention-1.svg
	cp runs/$@/reverse.svg chapters/02-transformer/figures/reverse.svg

figures-04: $(BUILD)/chapter-04
	$(BUILD)/chapter-04 train --out runs/$@
	$(BUILD)/chapter-04 attention --load runs/$@/model.safetensors --out runs/$@ \
	  --prompt "$$(printf 'CELIA:\nWho?\n\nROSALIND:\nG')"
	rm -f chapters/04-gpt/figures/*
	cp runs/$@/loss.svg chapters/04-gpt/figures/loss.svg
	cp runs/$@/attention-0-0.svg chapters/04-gpt/figures/attention-0-0.svg
	cp runs/$@/attention-1-1.svg chapters/04-gpt/figures/attention-1-1.svg

# Measurements of speed. Where there is an OpenBLAS it is found at run time, never linked.
.PHONY: bench-kernels bench-steps
bench-kernels bench-steps: bench-%: $(BUILD)/bench-%
	@$<
$(BUILD)/bench-%: $(BUILD)/obj/tests/bench/%.o $(BUILD)/obj/tests/bench/bench.o $(BUILD)/liblineage.a
	$(Q)$(CC) $(FLAGS) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS) -ldl

# The chapters and docs as one offline book of HTML; needs pandoc.
book:
	@sh docs/book.sh build/book

# What everyone quotes losses on; checked before it is put in place.
SHAKESPEARE_URL = https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt
SHAKESPEARE_SHA = 86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed
data: data/tinyshakespeare.txt
data/tinyshakespeare.txt:
	curl -fL --output $@.new $(SHAKESPEARE_URL)
	echo '$(SHAKESPEARE_SHA)  $@.new' | sha256sum --check --quiet
	mv $@.new $@

clean:
	rm -rf build

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
