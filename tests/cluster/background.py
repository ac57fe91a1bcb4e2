"""What goes on at a cluster while a test looks at it."""

import threading


class Background:
    """Threads that work within a `with`. Each looks at `over`, and returns soon after it is set; the end of the `with`
    waits for that."""

    def __init__(self):
        self.over = threading.Event()
        self.threads = []

    def add(self, work, *arguments):
        self.threads.append(threading.Thread(target=work, args=arguments))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()
