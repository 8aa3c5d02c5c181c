#!/usr/bin/perl
# open-broadcast-sockets.pl PORT INTERFACE... -- PROGRAM [ARGUMENT...]
#
# Opens a UDP socket on 0.0.0.0:PORT for each interface, bound to it, and becomes PROGRAM, which finds them as
# it would find those of a systemd socket unit (sd_listen_fds(3)), each by the name of its interface. Node has
# no SO_BINDTODEVICE; Linux gives it to every user since 5.7. Perl is on every Debian (perl-base).
use strict;
use warnings;
use Fcntl qw(F_DUPFD);
use POSIX qw(dup2);
use Socket;
use constant SO_BINDTODEVICE => 25;

my $port = shift @ARGV;
my (@sockets, @names);
while (@ARGV and (my $interface = shift @ARGV) ne '--') {
	my $socket;
	if (socket($socket, PF_INET, SOCK_DGRAM, 0)
		and setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1)
		and setsockopt($socket, SOL_SOCKET, SO_BINDTODEVICE, "$interface\0")
		and bind($socket, sockaddr_in($port, INADDR_ANY))) {
		push @sockets, $socket;
		push @names, $interface;
	} else {
		print STDERR "rolecall: no socket hears port $port of $interface alone: $!\n";
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
