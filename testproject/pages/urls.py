from django.urls import path

from . import views

app_name = "pages"
urlpatterns = [
    path("", views.index, name="index"),
    path("warm/", views.warm, name="warm"),
    path("<slug:slug>/", views.city, name="city"),
]
