"""Counts primes, slowly: prints a line for each step, and writes every prime to the file named on the command line.

Nothing in here knows that it will be frozen. What it needs to go on is in its memory (the sieve so far, the state of a
running SHA-256) and in the kernel (the offset in the file it writes)."""

import hashlib
import sys

STEPS, WIDTH = 12, 200_000

primes = []
digest = hashlib.sha256()
with open(sys.argv[1], "w") as out:
    for step in range(1, STEPS + 1):
        for n in range((step - 1) * WIDTH, step * WIDTH):
            if n < 2:
                continue
            for p in primes:
                if p * p > n:
                    primes.append(n)
                    break
                if n % p == 0:
                    break
            else:
                primes.append(n)
            if primes[-1] == n:
                out.write(f"{n}\n")
                digest.update(b"%d\n" % n)
        print(f"step {step:2} of {STEPS}: {len(primes):6} primes below {step * WIDTH:7}, SHA-256 so far {digest.hexdigest()[:16]}", flush=True)
print(f"done: SHA-256 of all {len(primes)} primes: {digest.hexdigest()}", flush=True)
