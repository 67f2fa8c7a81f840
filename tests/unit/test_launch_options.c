/* test_launch_options.c - options of the launching verbs, task IDs made from programs, and the
 * command line of mpirun. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "end_time.h"
#include "launch_options.h"
#include "places.h"
#include "run_suite.h"
#include "rundir.h"
#include "start.h"
#include "verb.h"

enum { MAX_WORDS = 32 };

/* Cuts text at blanks into an argv and reads it. */
static void parse(const char *text, struct launch_options *options)
{
    static char copy[512];
    static char verb[] = "verb";
    char *argv[MAX_WORDS] = {verb}, *rest;
    int argc = 1;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        ck_assert_int_lt(argc, MAX_WORDS - 1);
        argv[argc++] = word;
    }
    launch_options_init(options);
    options_parse(&launch_argp, "onward test", argc, argv, options);
}

START_TEST(reads_options)
{
    struct launch_options options;
    parse("-n 4 --min 2 --max 8 --spares 0 --task t --dir /d --steps 0 --checkpoint 30s --keep 5 "
          "--quiet",
          &options);
    ck_assert_uint_eq(options.workers, 4);
    ck_assert_uint_eq(options.min_workers, 2);
    ck_assert_uint_eq(options.max_workers, 8);
    ck_assert_int_eq(options.spares, 0);
    ck_assert_str_eq(options.task, "t");
    ck_assert_str_eq(options.directory, "/d");
    ck_assert_int_eq(options.step_count, 0);
    ck_assert_str_eq(options.checkpoint, "30s");
    ck_assert_uint_eq(options.checkpoint_keep, 5);
    ck_assert(options.quiet);
}
END_TEST

START_TEST(reads_more_options)
{
    struct launch_options options;
    parse("--max-restarts 0 --detect 2.5 --hang 30 --inject kill:worker=2@step=300 --mpirun-arg a "
          "--mpirun-arg=b --json",
          &options);
    ck_assert_int_eq(options.max_restarts, 0);
    ck_assert(options.detect_s == 2.5);
    ck_assert(options.hang_s == 30);
    ck_assert_str_eq(options.inject, "kill:worker=2@step=300");
    ck_assert_uint_eq(options.mpirun_argument_count, 2);
    ck_assert_str_eq(options.mpirun_arguments[1], "b");
    ck_assert(options.json);
}
END_TEST

START_TEST(leaves_what_is_not_given)
{
    struct launch_options options;
    parse("", &options);
    ck_assert_uint_eq(options.workers, 0);
    ck_assert_int_eq(options.spares, -1);
    ck_assert_int_eq(options.step_count, -1);
    ck_assert_int_eq(options.max_restarts, 3);
    ck_assert_ptr_null(options.task);
}
END_TEST

START_TEST(reads_places)
{
    struct launch_options options;
    parse("--hosts n[0-1]:2,m0 --agent sh --local-dir /l --replace none --wait 0", &options);
    ck_assert_str_eq(options.host_list, "n0:2,n1:2,m0");
    ck_assert_str_eq(options.agent, "sh");
    ck_assert_str_eq(options.local_directory, "/l");
    ck_assert_str_eq(options.replace, "none");
    ck_assert(options.wait_s == 0);
    launch_options_clear(&options);
    parse("", &options);
    ck_assert_ptr_null(options.host_list);
    ck_assert(options.wait_s == -1);
    ck_assert(options.detect_s == 5);
}
END_TEST

static const char *const names_of_hostfile[] = {"--hostfile", "--hosts-file"};

START_TEST(reads_a_file_of_hosts)
{
    struct launch_options options;
    char path[] = "/tmp/onward-hosts.XXXXXX", text[80];
    static const char list[] = "n0 slots=2\nn1\n";
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, list, sizeof list - 1), sizeof list - 1);
    close(fd);
    snprintf(text, sizeof text, "%s %s", names_of_hostfile[_i], path);
    parse(text, &options);
    unlink(path);
    ck_assert_str_eq(options.host_list, "n0:2,n1");
    ck_assert_str_eq(options.hosts_option, "--hostfile");
    launch_options_clear(&options);
}
END_TEST

START_TEST(reads_which_checkpoints_stay)
{
    struct launch_options options;
    parse("--keep-every 100 --keep-best accuracy:max --end-time @1800000000", &options);
    ck_assert_int_eq(options.checkpoint_keep_every, 100);
    ck_assert_str_eq(options.checkpoint_keep_best, "accuracy:max");
    ck_assert(options.end_time_s == 1800000000);
    parse("", &options);
    ck_assert_int_eq(options.checkpoint_keep_every, -1);
    ck_assert(options.end_time_s == 0);
}
END_TEST

static const struct {
    const char *text;
    double seconds; /* below 0: refused */
} end_times[] = {{"1970-01-01T00:00:00Z", 0},
                 {"2026-11-25T18:00:00Z", 1795629600},
                 {"2026-11-25t18:00:00.25z", 1795629600.25},
                 {"2026-11-25 19:30:00+01:30", 1795629600},
                 {"2026-11-25T13:00:00-05:00", 1795629600},
                 {"@1795629600", 1795629600},
                 {"+90", 1090},
                 {"+0.5", 1000.5},
                 {"", -1},
                 {"+", -1},
                 {"+-5", -1},
                 {"+inf", -1},
                 {"@", -1},
                 {"@x", -1},
                 {"1795629600", -1},
                 {"2026-11-25T18:00:00", -1},
                 {"2026-11-25T18:00Z", -1},
                 {"2026-04-31T18:00:00Z", -1},
                 {"2026-13-01T18:00:00Z", -1},
                 {"2026-11-25T25:00:00Z", -1},
                 {"2026-11-25T18:00:00Zx", -1},
                 {"2026-11-25T18:00:00+1:00", -1},
                 {"2026-11-25T18:00:00+01:0x", -1},
                 {"26-11-25T18:00:00Z", -1},
                 {"1960-01-01T00:00:00Z", -1}};

START_TEST(reads_end_times)
{
    double seconds = -1;
    bool good = end_time_parse(end_times[_i].text, 1000, &seconds);
    ck_assert_msg(good == (end_times[_i].seconds >= 0), "%s", end_times[_i].text);
    if (good)
        ck_assert_msg(seconds == end_times[_i].seconds, "%s: %.3f", end_times[_i].text, seconds);
}
END_TEST

static const char *const bad_options[] = {
    "-n 0",
    "-n -1",
    "-n 4x",
    "-n 4097",
    "-n 99999999999999999999",
    "--min 0",
    "--min 3 --max 2",
    "-n 2 --min 3",
    "--steps -1",
    "--spares -1",
    "--checkpoint never",
    "--checkpoint 0",
    "--checkpoint 1.5",
    "--checkpoint -3s",
    "--checkpoint inf",
    "--keep 0",
    "--keep-every -1",
    "--keep-best loss",
    "--keep-best loss:best",
    "--keep-best :min",
    "--end-time soon",
    "--end-time 2026-11-25",
    "--end-time +1h",
    "--max-restarts -1",
    "--detect 0",
    "--detect nan",
    "--detect 0.49",
    "--agent no-such-agent",
    "--agent /dev/null",
    "--hang -1",
    "--hang soon",
    "--inject kill",
    "--inject kill:worker=1@step=3,",
    "--hosts n[2-1]",
    "--hosts n0 --hostfile /dev/null",
    "--hostfile /dev/null",
    "--hostfile /no/such/file",
    "--replace never",
    "--local-dir shm",
    "--wait -1",
    "--wait soon",
    "--task ..",
    "--task a/b",
    "--quiet --json",
    "--nonsense",
    "--task",
    "word",
};

START_TEST(refuses_with_status_2)
{
    struct launch_options options;
    parse(bad_options[_i], &options);
    _exit(0);
}
END_TEST

static const struct {
    const char *program, *begin;
} programs[] = {
    {"/usr/bin/heat", "heat-2"},
    {"./my prog.py", "my-prog-2"},
    {"...", "task-2"},
    {"-x", "task-2"},
    {"a-very-long-name-of-a-program-that-goes-on-and-on-and-on-and-on", "a-very-long-name"},
};

START_TEST(makes_task_ids)
{
    char task[RUNDIR_TASK_BYTES];
    start_make_task(programs[_i].program, task, sizeof task);
    ck_assert_int_eq(rundir_check_task(task, NULL), ONWARD_OK);
    ck_assert_msg(!strncmp(task, programs[_i].begin, strlen(programs[_i].begin)), "%s", task);
}
END_TEST

static void build(const struct command_settings *settings, char *text, size_t text_bytes)
{
    char **command;
    struct error error;
    size_t used = 0;
    ck_assert_int_eq(command_build(settings, &command, &error), ONWARD_OK);
    for (int i = 0; command[i]; i++)
        used += (size_t)snprintf(text + used, text_bytes - used, "%s%s", i ? " " : "", command[i]);
    free(command);
}

#define COMMON                                                                                     \
    "--with-ft ulfm --mca pml ob1 --mca coll ^han --mca async_mpi_finalize 1 "                     \
    "--prtemca state_base_recoverable 1 --bind-to none "                                           \
    "--map-by :OVERSUBSCRIBE --mca btl_tcp_if_include lo"

START_TEST(builds_the_command)
{
    const char *program[] = {"prog", "-x", NULL};
    const char *more[] = {"--display", "map", "mpi_yield_when_idle"};
    char text[1024];
    struct command_settings settings = {
        .mpirun = "/m", .rank_count = 4, .core_count = 4, .program = program, .program_count = 2};
    build(&settings, text, sizeof text);
    ck_assert_str_eq(text, "/m -n 4 " COMMON " --mca mpi_yield_when_idle 1 prog -x");
    settings.is_root = true;
    settings.mpirun_arguments = more;
    settings.mpirun_argument_count = 2;
    build(&settings, text, sizeof text);
    ck_assert_str_eq(text, "/m -n 4 " COMMON " --mca mpi_yield_when_idle 1 "
                           "--allow-run-as-root --display map prog -x");
    settings.mpirun_argument_count = 3;
    build(&settings, text, sizeof text);
    ck_assert_str_eq(text, "/m -n 4 " COMMON " "
                           "--allow-run-as-root --display map mpi_yield_when_idle prog -x");
}
END_TEST

START_TEST(a_program_without_the_library_yields_on_too_few_cores)
{
    const char *program[] = {"prog", NULL};
    char text[1024];
    struct command_settings settings = {.mpirun = "/m",
                                        .rank_count = 4,
                                        .core_count = 4,
                                        .is_plain = true,
                                        .program = program,
                                        .program_count = 1};
    build(&settings, text, sizeof text);
    ck_assert_ptr_null(strstr(text, "yield"));
    settings.core_count = 3;
    build(&settings, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, " --mca mpi_yield_when_idle 1 "));
}
END_TEST

START_TEST(builds_the_command_over_hosts)
{
    const char *program[] = {"prog", NULL};
    char text[2048];
    struct hosts hosts = {.list = NULL};
    struct command_hosts over = {.hosts = &hosts,
                                 .agent = "ssh -q",
                                 .subnets = "10.1.0.0/24",
                                 .task = "t",
                                 .base = "/a b",
                                 .incarnation = 3,
                                 .detect_s = 5,
                                 .keepalive = "oob_tcp"};
    struct command_settings settings = {.mpirun = "/m",
                                        .rank_count = 5,
                                        .core_count = 5,
                                        .program = program,
                                        .program_count = 1,
                                        .over = &over};
    ck_assert_int_eq(hosts_parse_list("n0:3,n1:1", "--hosts", &hosts, NULL), ONWARD_OK);
    clearenv();
    setenv("ONWARD_TASK", "t", 1);
    setenv("PATH", "/bin", 1);
    build(&settings, text, sizeof text);
    ck_assert_str_eq(
        text, "/m -n 5 --with-ft ulfm --mca pml ob1 --mca coll ^han --mca async_mpi_finalize 1 "
              "--prtemca state_base_recoverable 1 "
              "--bind-to none --host n0:4,n1:1 --map-by slot:OVERSUBSCRIBE --mca "
              "btl_tcp_if_include 10.1.0.0/24 --prtemca plm ssh --prtemca plm_ssh_agent ssh -q "
              "--prtemca plm_ssh_no_tree_spawn 1 --prtemca oob_tcp_keepalive_time 2 --prtemca "
              "oob_tcp_keepalive_intvl 1 --prtemca oob_tcp_keepalive_probes 2 --prtemca "
              "prte_launch_agent env ONWARD_TASK=t 'ONWARD_DIR=/a b' ONWARD_INCARNATION=3 prted "
              "-x ONWARD_TASK --mca mpi_yield_when_idle 1 prog");
    over.subnets = over.keepalive = "";
    over.base = "/it's";
    build(&settings, text, sizeof text);
    ck_assert_ptr_null(strstr(text, "btl_tcp_if_include"));
    ck_assert_ptr_null(strstr(text, "keepalive"));
    ck_assert_ptr_null(strstr(text, "prte_launch_agent"));
    hosts_clear(&hosts);
}
END_TEST

START_TEST(the_command_outlives_the_subnets)
{
    char subnets[] = "10.1.0.0/24", **command;
    const char *program[] = {"prog", NULL};
    struct hosts hosts = {.list = NULL};
    struct command_hosts over = {.hosts = &hosts,
                                 .agent = "ssh",
                                 .subnets = subnets,
                                 .task = "t",
                                 .base = "/a",
                                 .keepalive = ""};
    struct command_settings settings = {
        .mpirun = "/m", .rank_count = 1, .program = program, .program_count = 1, .over = &over};
    bool found = false;
    ck_assert_int_eq(hosts_parse_list("n0:1", "--hosts", &hosts, NULL), ONWARD_OK);
    ck_assert_int_eq(command_build(&settings, &command, NULL), ONWARD_OK);
    memset(subnets, 'x', sizeof subnets - 1);
    for (char **argument = command; *argument; argument++)
        found |= !strcmp(*argument, "10.1.0.0/24");
    ck_assert(found);
    free(command);
    hosts_clear(&hosts);
}
END_TEST

static const struct {
    const char *addresses[3], *expected; /* of each host, with blanks between */
} networks[] = {
    {{"10.1.0.1/24", "10.1.0.2/24", "10.1.0.3/24"}, "10.1.0.0/24"},
    {{"10.1.0.1/24 172.17.0.1/16", "172.17.0.1/16 10.1.0.2/24", "10.1.0.3/24 172.17.0.1/16"},
     "10.1.0.0/24"},
    {{"10.1.0.1/24 10.2.0.1/16", "10.1.0.2/24 10.2.0.2/16", "10.1.0.3/24 10.2.0.3/16"},
     "10.1.0.0/24,10.2.0.0/16"},
    {{"10.1.0.1/24", "10.1.1.2/24", "10.1.0.3/24"}, ""},
    {{"10.1.0.1/24", "10.1.0.2/16", "10.1.0.3/24"}, ""},
    {{"10.1.0.1/24", "", "10.1.0.3/24"}, ""},
};

START_TEST(finds_shared_networks)
{
    struct hosts hosts = {.list = NULL};
    struct places places = {.count = 0};
    char text[PLACES_SUBNETS_BYTES];
    ck_assert_int_eq(hosts_parse_list("a,b,c", "--hosts", &hosts, NULL), ONWARD_OK);
    ck_assert_int_eq(places_open(&places, &hosts, NULL), ONWARD_OK);
    for (uint32_t i = 0; i < 3; i++)
        places_take_addresses(&places.list[i], networks[_i].addresses[i]);
    places_subnets(&places, text, sizeof text);
    ck_assert_str_eq(text, networks[_i].expected);
    places_close(&places);
    hosts_clear(&hosts);
}
END_TEST

static void open_places(struct places *places, const char *list)
{
    struct hosts hosts = {.list = NULL};
    *places = (struct places){.count = 0};
    ck_assert_int_eq(hosts_parse_list(list, "--hosts", &hosts, NULL), ONWARD_OK);
    ck_assert_int_eq(places_open(places, &hosts, NULL), ONWARD_OK);
    hosts_clear(&hosts);
}

START_TEST(finds_a_place_by_another_name)
{
    struct places places;
    open_places(&places, "n1.cluster:2,n2:2,10.0.0.1:2,10.0.0.2:2");
    ck_assert_ptr_eq(places_find(&places, "n1"), &places.list[0]);
    ck_assert_ptr_eq(places_find(&places, "n2.cluster"), &places.list[1]);
    ck_assert_ptr_eq(places_find(&places, "10.0.0.2"), &places.list[3]);
    ck_assert_ptr_null(places_find(&places, "10.0.0.3"));
    strcpy(places.list[2].own_name, "n7");
    ck_assert_ptr_eq(places_find(&places, "n7.cluster"), &places.list[2]);
    char *names = places_names(&places);
    ck_assert_str_eq(names, "10.0.0.1=n7");
    free(names);
    places_drain(&places, "n1", true);
    places_drain(&places, "10.0.0.2", true);
    ck_assert(places.list[0].drained && !places.list[1].drained && !places.list[2].drained &&
              places.list[3].drained);
    names = places_drained(&places, 1);
    ck_assert_str_eq(names, "n1.cluster:1,10.0.0.2:1");
    free(names);
    places.list[0].leaves = true;
    names = places_drained(&places, 0);
    ck_assert_str_eq(names, "10.0.0.2:0");
    free(names);
    places_close(&places);
}
END_TEST

#define LOOP(tests, test, table)                                                                   \
    tcase_add_loop_test(tests, test, 0, (int)(sizeof table / sizeof *table))

int main(void)
{
    Suite *suite = suite_create("launch options");
    TCase *tests = tcase_create("options");
    tcase_add_test(tests, reads_options);
    tcase_add_test(tests, reads_more_options);
    tcase_add_test(tests, leaves_what_is_not_given);
    tcase_add_test(tests, reads_places);
    LOOP(tests, reads_a_file_of_hosts, names_of_hostfile);
    tcase_add_test(tests, reads_which_checkpoints_stay);
    LOOP(tests, reads_end_times, end_times);
    tcase_add_loop_exit_test(tests, refuses_with_status_2, 2, 0,
                             (int)(sizeof bad_options / sizeof *bad_options));
    LOOP(tests, makes_task_ids, programs);
    tcase_add_test(tests, builds_the_command);
    tcase_add_test(tests, a_program_without_the_library_yields_on_too_few_cores);
    tcase_add_test(tests, builds_the_command_over_hosts);
    tcase_add_test(tests, the_command_outlives_the_subnets);
    LOOP(tests, finds_shared_networks, networks);
    tcase_add_test(tests, finds_a_place_by_another_name);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
