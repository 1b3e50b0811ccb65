# Classes, dictionaries, strings, lists, integers and floats.
import hashlib, json, re


class Node:
    def __init__(self, key):
        self.key, self.left, self.right = key, None, None

    def insert(self, key):
        side = "left" if key < self.key else "right"
        child = getattr(self, side)
        if child is None:
            setattr(self, side, Node(key))
        else:
            child.insert(key)

    def depth(self):
        return 1 + max(child.depth() if child else 0 for child in (self.left, self.right))


seed, tree = 1, Node(1 << 30)
for _ in range(50000):
    seed = (seed * 1103515245 + 12345) % 2**31
    tree.insert(seed)
print(tree.depth())
sieve = [True] * 2500000
for i in range(2, 1582):
    if sieve[i]:
        for j in range(i * i, 2500000, i):
            sieve[j] = False
print(sum(sieve))
words = {}
for i in range(600000):
    word = "w%d" % (i * i % 9973)
    words[word] = words.get(word, 0) + 1
print(len(words), max(words.values()))
text = json.dumps({key: [value, value / 7] for key, value in words.items()}, sort_keys=True)
print(hashlib.sha256(text.encode()).hexdigest(), len(re.findall(r"w\d+7\b", text)))
x = 0.5
for i in range(2500000):
    x = 3.7 * x * (1 - x)
print("%.12f" % x)
