"""Training of the pocket reasoner and critic, from a checkout.

Run the modules ``train_reasoner`` and ``train_critic``; nothing else in the package imports this one.
"""
