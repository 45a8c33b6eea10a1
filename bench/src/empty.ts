/** The baseline: a process that is ready at once, and waits. */
process.stdout.write('ready\n');
setInterval(() => undefined, 1_000);
