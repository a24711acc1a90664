#!/usr/bin/env perl
# The scenario of ../README.md with DBD::mysql.
use strict;
use warnings;
use DBI;
use JSON::PP;

my ($mode, $host, $port, $script, $connections) = @ARGV;
my $prepared = $mode =~ /^perl-prepared/;
my $options = ';mysql_local_infile=1' . ($mode =~ /-compress$/ ? ';mysql_compression=1' : '');
my $PORT_QUERY = 'SELECT HOST FROM information_schema.processlist WHERE ID = CONNECTION_ID()';

sub keyword { lc((split ' ', $_[0])[0]) }

sub attempt {
    my ($run, $handle, $work) = @_;
    my $result = eval { $work->() };
    $run->{errors}{ $handle->err }++ if $@;
    return $result;
}

sub text {
    my ($run, $sql) = @_;
    $run->{com}{COM_QUERY}++;
    $run->{text_statements}{ keyword($sql) }++;
    my $dbh = $run->{dbh};
    return attempt($run, $dbh, sub {
        my $sth = $dbh->prepare($sql, { mysql_server_prepare => 0 });
        $sth->execute;
        my $rows = $sth->{NUM_OF_FIELDS} ? $sth->fetchall_arrayref : [];
        1 while $sth->more_results;
        return $rows;
    });
}

sub prepared {
    my ($run, $sql, @numbers) = @_;
    my $dbh = $run->{dbh};
    $run->{com}{COM_STMT_PREPARE}++;
    my $sth = attempt($run, $dbh, sub { $dbh->prepare($sql, { mysql_server_prepare => 1 }) }) or return;
    for my $number (@numbers) {
        $run->{com}{COM_STMT_EXECUTE}++;
        $run->{prepared_executes}{ keyword($sql) }++;
        attempt($run, $sth, sub {
            $sth->execute($number);
            $sth->fetchall_arrayref if $sth->{NUM_OF_FIELDS};
            return 1;
        }) or $run->{com}{COM_STMT_RESET}++;    # the driver's own, after an error
    }
    undef $sth;
    $run->{com}{COM_STMT_CLOSE}++;
}

sub step {
    my ($run, $line) = @_;
    my ($op, $rest) = split ' ', $line, 2;
    if ($op eq 'text') {
        text($run, $rest);
    } elsif ($op eq 'prepared') {
        my ($list, $sql) = split ' ', $rest, 2;
        my @numbers = split /,/, $list;
        if ($prepared) {
            prepared($run, $sql, @numbers);
        } else {
            text($run, $sql =~ s/\?/$_/r) for @numbers;
        }
    } elsif ($op eq 'ping') {
        $run->{dbh}->ping;
        $run->{com}{COM_PING}++;
    }
}

open my $file, '<', $script or die "$script: $!";
chomp(my @lines = <$file>);
my @runs;
for my $number (1 .. $connections) {
    my $dbh = DBI->connect("DBI:mysql:database=test;host=$host;port=$port$options", 'app', 'app-password',
        { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
    my $run = {
        dbh => $dbh, client => $mode, connections => 1, com => {}, text_statements => {},
        prepared_executes => {}, errors => {},
    };
    ($run->{port}) = map { $_ + 0 } text($run, $PORT_QUERY)->[0][0] =~ /:(\d+)$/;
    step($run, s/\{c\}/$number/r) for @lines;
    push @runs, $run;
}
for my $run (@runs) {
    (delete $run->{dbh})->disconnect;
    $run->{com}{COM_QUIT}++;
    print encode_json($run), "\n";
}
