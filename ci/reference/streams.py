"""The trainer's random numbers (`glass_schemas::seeds`): Philox4x32-10 keyed by seed, subject and purpose.

A transcription that draws the same numbers can be compared with the trainer step by step, without a
file of noise.
"""

import hashlib
import math
import struct

MASK = 0xFFFFFFFF


def philox(counter, key):
    counter, key = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [
            (second >> 32) ^ counter[1] ^ key[0],
            second & MASK,
            (first >> 32) ^ counter[3] ^ key[1],
            first & MASK,
        ]
        key = [(key[0] + 0x9E3779B9) & MASK, (key[1] + 0xBB67AE85) & MASK]
    return counter


class Stream:
    def __init__(self, seed, subject, purpose, lane=0):
        self.named, self.lane = (seed, subject, purpose), lane
        digest = hashlib.sha256()
        for part in [struct.pack("<Q", seed), str(subject).encode(), purpose.encode()]:
            digest.update(struct.pack("<Q", len(part)) + part)
        words = struct.unpack("<8I", digest.digest())
        self.key = [words[0], words[1]]

    def at(self, step):
        return Stream(*self.named, lane=step + 1)

    def u64(self, position):
        index = position // 2
        block = philox([index & MASK, index >> 32, self.lane & MASK, self.lane >> 32], self.key)
        half = position % 2 * 2
        return block[half] | block[half + 1] << 32

    def below(self, position, bound):
        return self.u64(position) * bound >> 64

    def normal(self, count):
        numbers = []
        for pair in range((count + 1) // 2):
            a, b = self.u64(2 * pair), self.u64(2 * pair + 1)
            radius = math.sqrt(-2.0 * math.log(((a >> 11) + 1) / 2**53))
            angle = (b >> 11) / 2**53 * math.tau
            numbers += [radius * math.cos(angle), radius * math.sin(angle)]
        return numbers[:count]

    def shuffle(self, items):
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last, last + 1)
            items[last], items[other] = items[other], items[last]
