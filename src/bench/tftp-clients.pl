# Fetches one file over TFTP with many clients at once and throws the bytes away (RFC 1350, 2347, 2348, 7440).
# A client answers a lost block as RFC 7440 says, with the last one in order, once for each gap; after three
# seconds without news it repeats its last packet, at most ten times.
# perl tftp-clients.pl HOST PORT FILE CLIENTS WINDOWSIZE; prints seconds and processor seconds of all and how many
# clients had to repeat what they said before the first block, then for each client its seconds and how it ended.
use strict;
use warnings;
use Socket;
use Time::HiRes 'time';

my ($host, $port, $file, $clients, $asked) = @ARGV;
my $block_size = 1468;
my $server = pack_sockaddr_in($port, inet_aton($host));
my $options = "blksize\0$block_size\0" . ($asked > 1 ? "windowsize\0$asked\0" : '');
my $request = pack('n', 1) . "$file\0octet\0$options";

my $begin = time;
my (%by_number, @all);
my $watched = '';
for (1 .. $clients) {
    socket(my $socket, PF_INET, SOCK_DGRAM, 0) or die "socket: $!\n";
    my $client = {
        socket => $socket, number => fileno $socket, to => undef, window => 1,
        taken => 0, since_ack => 0, gap => 0, bytes => 0, said => $request,
        tries => 0, late => 0, due => time + 3, end => undef,
    };
    send($socket, $request, 0, $server) // die "send: $!\n";
    vec($watched, $client->{number}, 1) = 1;
    $by_number{ $client->{number} } = $client;
    push @all, $client;
}

sub end_client {
    my ($client, $end) = @_;
    $client->{end} = $end;
    $client->{seconds} = time - $begin;
    vec($watched, $client->{number}, 1) = 0;
    delete $by_number{ $client->{number} };
}

sub acknowledge {
    my ($client) = @_;
    $client->{since_ack} = 0;
    $client->{said} = pack('nn', 4, $client->{taken} & 0xffff);
    send($client->{socket}, $client->{said}, 0);
}

sub receive {
    my ($client, $bytes) = @_;
    my ($opcode, $block) = unpack 'nn', $bytes;
    if ($opcode == 3) {
        if ($block == (($client->{taken} + 1) & 0xffff)) {
            my $length = length($bytes) - 4;
            $client->{taken}++;
            $client->{bytes} += $length;
            $client->{gap} = 0;
            $client->{tries} = 0;
            my $last = $length < $block_size;
            acknowledge($client) if ++$client->{since_ack} >= $client->{window} || $last;
            end_client($client, "ok $client->{bytes}") if $last;
        } elsif ($block == ($client->{taken} & 0xffff) || !$client->{gap}) {
            $client->{gap} = 1;
            acknowledge($client);
        }
    } elsif ($opcode == 6) {
        my %agreed = split /\0/, lc substr $bytes, 2;
        $client->{window} = $agreed{windowsize} // 1;
        acknowledge($client) if $client->{taken} == 0;
    } elsif ($opcode == 5) {
        end_client($client, 'error ' . substr $bytes, 4);
    }
}

my $look = time + 0.5;
while (%by_number) {
    my $ready = $watched;
    my $count = select $ready, undef, undef, 0.5;
    my $now = time;
    if ($count > 0) {
        for my $client (values %by_number) {
            next unless vec $ready, $client->{number}, 1;
            for (1 .. $client->{window}) {
                my $from = recv $client->{socket}, my $bytes, 2048, 0x40; # MSG_DONTWAIT
                last unless defined $from;
                if (!$client->{to}) {
                    # The server's port for this transfer: from now on the kernel drops what others send.
                    $client->{to} = $from;
                    connect $client->{socket}, $from or die "connect: $!\n";
                }
                $client->{due} = $now + 3;
                receive($client, $bytes);
                last if $client->{end};
            }
        }
    }
    next if $now < $look;
    $look = $now + 0.5;
    for my $client (grep { $_->{due} < $now } values %by_number) {
        if (++$client->{tries} > 10) { end_client($client, 'nothing more came'); next }
        $client->{late} = 1 if $client->{taken} == 0;
        # A connected socket takes no address.
        my $sent = $client->{to} ? send($client->{socket}, $client->{said}, 0) : send($client->{socket}, $client->{said}, 0, $server);
        defined $sent or $!{ECONNREFUSED} or die "send: $!\n";
        $client->{due} = $now + 3;
    }
}
my $seconds = time - $begin;
my ($user, $system) = times;
printf "%.6f %.2f %d\n", $seconds, $user + $system, scalar grep { $_->{late} } @all;
printf "%.6f %s\n", $_->{seconds}, $_->{end} for @all;
