# Fetches one path over HTTP/1.1 on many connections at once and throws the bytes away inside the kernel
# (MSG_TRUNC, tcp(7)): the lightest reader there is, so that what is measured is the server.
# perl discarding-client.pl HOST PORT PATH CONNECTIONS; prints seconds, processor seconds, then bytes per connection.
use strict;
use warnings;
use Socket;
use Time::HiRes 'time';

my ($host, $port, $path, $connections) = @ARGV;
my $begin = time;
my @readers;
for (1 .. $connections) {
    pipe(my $from, my $to) or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        socket(my $socket, PF_INET, SOCK_STREAM, 0) or die "socket: $!\n";
        connect($socket, pack_sockaddr_in($port, inet_aton($host))) or die "connect: $!\n";
        syswrite($socket, "GET $path HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n");
        # The head is read as it is, for its length is no part of the body.
        my ($head, $bytes) = ('', '');
        while ($head !~ /\r\n\r\n/) {
            defined recv($socket, $bytes, 4096, 0) or die "recv: $!\n";
            last if $bytes eq '';
            $head .= $bytes;
        }
        my ($status) = $head =~ m{^HTTP/1\.1 (\d+)};
        my $body = length($head) - index($head, "\r\n\r\n") - 4;
        while (1) {
            defined recv($socket, $bytes, 1 << 20, 0x20) or die "recv: $!\n";
            last if $bytes eq '';
            $body += length $bytes;
        }
        syswrite($to, "$status $body\n");
        exit 0;
    }
    close $to;
    push @readers, $from;
}
my @ends = map { scalar(readline $_) // "failed\n" } @readers;
1 while wait != -1;
my (undef, undef, $user, $system) = times;
printf "%.6f %.2f\n", time - $begin, $user + $system;
print @ends;
