/* test_launch_farm.c - the commands of a farm: templates, values, rows of tables, and bad input. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "farm_input.h"
#include "farm_template.h"
#include "run_suite.h"

static char directory[] = "/tmp/onward-test-farm.XXXXXX";
static char *const no_values[] = {NULL};

static const char *in_directory(const char *name)
{
    static char path[4][128];
    static int next;
    char *made = path[next++ % 4];
    snprintf(made, sizeof path[0], "%s/%s", directory, name);
    return made;
}

static const char *put_file(const char *name, const char *bytes, size_t size)
{
    const char *path = in_directory(name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

/* All commands, each with a | behind, in a text that stays until the next call; else the error. */
static const char *expand(const struct farm_input *input)
{
    static char text[4096];
    static struct error error;
    struct commands_writer *writer;
    struct commands *commands;
    const char *path = in_directory("commands");
    unlink(path);
    ck_assert_int_eq(commands_begin(&writer, &error), ONWARD_OK);
    int code = farm_input_read(input, writer, &error);
    if (code == ONWARD_OK)
        code = commands_publish(writer, path, &error);
    commands_discard(writer);
    if (code != ONWARD_OK)
        return error.text;
    ck_assert_int_eq(commands_open(path, true, &commands, &error), ONWARD_OK);
    text[0] = '\0';
    for (uint32_t i = 0; i < commands_count(commands); i++) {
        uint64_t offset;
        uint32_t length;
        size_t used = strlen(text);
        ck_assert_int_eq(commands_find(commands, i, &offset, &length, &error), ONWARD_OK);
        ck_assert_int_eq(commands_read(commands, offset, length, text + used, &error), ONWARD_OK);
        strcat(text, "|");
    }
    commands_close(commands);
    return text;
}

static void check_values(const char *template, char *const *values, const char *expected)
{
    uint32_t count = 0;
    while (values[count])
        count++;
    struct farm_input input = {.template = template, .values = values, .value_count = count};
    ck_assert_str_eq(expand(&input), expected);
}

START_TEST(values_fill_a_template)
{
    char *const two[] = {(char *)"a", (char *)"b c", NULL};
    char *const odd[] = {(char *)"it's", (char *)"", (char *)"x\ny", (char *)"\xff", NULL};
    char *const groups[] = {
        (char *)"a", (char *)"b", (char *)":::", (char *)"1", (char *)"two", NULL};
    check_values("echo {}", two, "echo a|echo 'b c'|");
    check_values("echo", two, "echo a|echo 'b c'|");
    check_values("f {#} {1}.x {1}", two, "f 1 a.x a|f 2 'b c'.x 'b c'|");
    check_values("f {} {#}", odd, "f 'it'\\''s' 1|f '' 2|f 'x\ny' 3|f '\xff' 4|");
    check_values("f {1}-{2}", groups, "f a-1|f a-two|f b-1|f b-two|");
    check_values("f {}", groups, "f a 1|f a two|f b 1|f b two|");
    /* what is not ours stays */
    check_values("awk '{print}' {} ${x} {{}} {0} {a b}", two,
                 "awk '{print}' a ${x} {a} {0} {a b}|awk '{print}' 'b c' ${x} {'b c'} {0} {a b}|");
}
END_TEST

START_TEST(lines_are_commands_or_values)
{
    struct farm_input input = {.values = no_values};
    input.file = put_file("lines", "one\n\ntwo {} {#}\nlast", 20);
    ck_assert_str_eq(expand(&input), "one|two {} {#}|last|");
    input.template = "run {} {#}";
    ck_assert_str_eq(expand(&input), "run one 1|run 'two {} {#}' 2|run last 3|");
}
END_TEST

START_TEST(rows_have_columns)
{
    static const char table[] = "name,size\r\n\"x, \"\"y\"\"\",3\r\n\"two\nlines\",\n";
    struct farm_input input = {.template = "f {size} {1}", .separator = ',', .header = true};
    input.file = put_file("table", table, sizeof table - 1);
    ck_assert_str_eq(expand(&input), "f 3 'x, \"y\"'|f '' 'two\nlines'|");
    input.header = false;
    input.template = "{2}";
    ck_assert_str_eq(expand(&input), "size|3|''|");
    input.separator = '\t';
    input.template = "{1}";
    input.file = put_file("tabs", "a b\tc\n", 6);
    ck_assert_str_eq(expand(&input), "'a b'|");
}
END_TEST

START_TEST(bad_input_names_file_and_line)
{
    char expected[512];
    struct farm_input input = {.template = "f {3}", .separator = ','};
    input.file = put_file("short", "a,b,c\na,b\n", 10);
    snprintf(expected, sizeof expected, "%s: line 2: 2 columns, expected at least 3, for {3}",
             input.file);
    ck_assert_str_eq(expand(&input), expected);
    input.file = put_file("open", "a,\"b\n", 5);
    snprintf(expected, sizeof expected, "%s: line 1: a value in quotes has no end", input.file);
    ck_assert_str_eq(expand(&input), expected);
    input = (struct farm_input){.file = put_file("nul", "a\nb\0c\n", 6)};
    snprintf(expected, sizeof expected, "%s: line 2: a NUL byte, which no command can hold",
             input.file);
    ck_assert_str_eq(expand(&input), expected);
    input.file = put_file("empty", "\n\n", 2);
    snprintf(expected, sizeof expected, "%s: no commands, expected at least one", input.file);
    ck_assert_str_eq(expand(&input), expected);
    char *const missing[] = {(char *)"a", (char *)":::", NULL};
    input = (struct farm_input){.template = "f", .values = missing, .value_count = 2};
    ck_assert_str_eq(expand(&input), "::: expected values behind it");
}
END_TEST

START_TEST(a_command_is_as_long_as_can_be_run)
{
    static char line[COMMANDS_MAX_BYTES + 8];
    struct commands_writer *writer;
    struct error error;
    memset(line, 'x', sizeof line);
    ck_assert_int_eq(commands_begin(&writer, &error), ONWARD_OK);
    ck_assert_int_eq(commands_add(writer, line, COMMANDS_MAX_BYTES - 1, &error), ONWARD_OK);
    ck_assert_int_eq(commands_add(writer, line, COMMANDS_MAX_BYTES, &error), ONWARD_ERR_INPUT);
    commands_discard(writer);
}
END_TEST

int main(void)
{
    if (!mkdtemp(directory))
        return 1;
    Suite *suite = suite_create("launch farm");
    TCase *cases = tcase_create("farm");
    tcase_set_timeout(cases, 60);
    tcase_add_test(cases, values_fill_a_template);
    tcase_add_test(cases, lines_are_commands_or_values);
    tcase_add_test(cases, rows_have_columns);
    tcase_add_test(cases, bad_input_names_file_and_line);
    tcase_add_test(cases, a_command_is_as_long_as_can_be_run);
    suite_add_tcase(suite, cases);
    int failed = run_suite(suite);
    char remove[64];
    snprintf(remove, sizeof remove, "rm -r %s", directory);
    return failed || system(remove) != 0;
}
