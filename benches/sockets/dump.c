// The ruler: what a full inet_diag dump costs at least. Dumps IPv4, then IPv6, counts by state, and prints the CPU
// time of that in nanoseconds and the sockets counted. With an argument it goes on for ever.
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[32 * 1024] __attribute__((aligned(8)));
static unsigned long states[16];

static void fail(const char *what) {
    perror(what);
    _exit(1);
}

static void dump(int fd, unsigned char family) {
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 body;
    } request = {
        .header = {sizeof request, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
        .body = {.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = 0x1ffe},
    };
    if (send(fd, &request, sizeof request, 0) != sizeof request) fail("send");
    for (;;) {
        ssize_t length = recv(fd, buffer, sizeof buffer, MSG_TRUNC);
        if (length < 0 || (size_t)length > sizeof buffer) fail("recv");
        int left = length;
        for (struct nlmsghdr *message = (void *)buffer; NLMSG_OK(message, left);
             message = NLMSG_NEXT(message, left)) {
            if (message->nlmsg_type == NLMSG_DONE) return;
            if (message->nlmsg_type == NLMSG_ERROR) fail("NLMSG_ERROR");
            states[((struct inet_diag_msg *)NLMSG_DATA(message))->idiag_state & 15]++;
        }
    }
}

int main(int count, char **unused) {
    (void)unused;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) fail("socket");
    struct timespec before, after;
    do {
        memset(states, 0, sizeof states);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        dump(fd, AF_INET);
        dump(fd, AF_INET6);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    } while (count > 1);
    unsigned long sockets = 0;
    for (int state = 0; state < 16; state++) sockets += states[state];
    long nanoseconds = (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec;
    printf("%ld %lu\n", nanoseconds, sockets);
    return 0;
}
