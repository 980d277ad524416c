"""`python -m cortez.worker`: the name by which the supervisor of any release starts the workers of any other.

A release is taken up, or taken back, while the supervisor of the one before runs on. The processes beside a worker load
this module too, under another name.
"""

import gc

if __name__ == "__main__":
    gc.disable()  # until `settle`: nothing is garbage while modules load, and looking takes a tenth of the time

    from cortez.server.worker import main

    main()
