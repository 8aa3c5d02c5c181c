#!/usr/bin/perl
# open-sockets.pl udp/PORT/INTERFACE tcp/PORT/ADDRESS ... -- PROGRAM [ARGUMENT...]
#
# Opens the sockets and becomes PROGRAM, which finds them as it would find those of a systemd socket unit
# (sd_listen_fds(3)). Node has none of the socket options that are needed here:
#
# udp: on 0.0.0.0:PORT, bound to the interface and named after it (SO_BINDTODEVICE, which Linux gives to every user
#      since 5.7), so that a broadcast on another interface never reaches it.
# tcp: on ADDRESS:PORT, named http-ADDRESS. What it accepts takes no more than 128 to 512 KiB that are not sent yet
#      (TCP_NOTSENT_LOWAT). Without that a machine that stalls in the middle of its root costs the kernel up to
#      4 MiB, and some hundred of them all the memory that Linux has for TCP, a twentieth of all (tcp(7), tcp_mem),
#      which slows everybody down. Less than 512 KiB costs speed: a piece of the root then takes several calls.
#
# Perl is on every Debian (perl-base).
use strict;
use warnings;
use Fcntl qw(F_DUPFD);
use POSIX qw(dup2 sysconf _SC_PAGESIZE);
use Socket qw(:DEFAULT IPPROTO_TCP);
use constant { SO_BINDTODEVICE => 25, TCP_NOTSENT_LOWAT => 25, _SC_PHYS_PAGES => 85 };

# 512 KiB from 8 GiB on. A sandbox and a network namespace hide tcp_mem.
my $share = int(sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / 16384);
my $unsent = $share < 128 * 1024 ? 128 * 1024 : $share > 512 * 1024 ? 512 * 1024 : $share;

my (@sockets, @names);
while (@ARGV and (my $wanted = shift @ARGV) ne '--') {
	my ($protocol, $port, $where) = split m{/}, $wanted, 3;
	my $socket;
	if ($protocol eq 'udp') {
		if (socket($socket, PF_INET, SOCK_DGRAM, 0)
			and setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1)
			and setsockopt($socket, SOL_SOCKET, SO_BINDTODEVICE, "$where\0")
			and bind($socket, sockaddr_in($port, INADDR_ANY))) {
			push @sockets, $socket;
			push @names, $where;
		} else {
			print STDERR "rolecall: no socket hears port $port of $where alone: $!\n";
		}
	} elsif (socket($socket, PF_INET, SOCK_STREAM, 0)
		and setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1)
		and setsockopt($socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, $unsent)
		and bind($socket, sockaddr_in($port, inet_aton($where)))) {
		# The program listens when it can answer; where the address is not to be had, it says why.
		push @sockets, $socket;
		push @names, "http-$where";
	}
}
# First out of the way of the places where they belong, which are 3 and up.
my @high = map { fcntl($_, F_DUPFD, 64) // die "rolecall: $!\n" } @sockets;
for my $i (0 .. $#high) {
	dup2($high[$i], 3 + $i);
	POSIX::close($high[$i]);
}
$ENV{LISTEN_PID} = $$;
$ENV{LISTEN_FDS} = @names;
$ENV{LISTEN_FDNAMES} = join ':', @names;
exec { $ARGV[0] } @ARGV or die "rolecall: $ARGV[0]: $!\n";
