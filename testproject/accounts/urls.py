from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from . import views

app_name = "accounts"
urlpatterns = [
    path("sign-up/", views.sign_up, name="sign_up"),
    path("log-in/", LoginView.as_view(template_name="accounts/log_in.html"), name="login"),
    path("log-out/", LogoutView.as_view(), name="logout"),
]
